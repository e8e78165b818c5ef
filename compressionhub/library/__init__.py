"""What a team brings: models in versions, datasets, and the uploads that carry them in."""

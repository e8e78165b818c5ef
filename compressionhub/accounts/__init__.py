"""People: who is here, on which team, and who may do what."""

"""The hub: people, rows and pages. It knows the engine's classes and never loads a tensor library."""

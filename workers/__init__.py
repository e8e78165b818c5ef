"""The compression engine: a library and a command, with no web framework and no database."""

"""The ui app: how pages are built."""

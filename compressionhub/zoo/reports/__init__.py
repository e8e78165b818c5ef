"""Frozen reports: evidence as it stood, its sheet, its files and links to it."""

"""The zoo app: the published catalogue."""

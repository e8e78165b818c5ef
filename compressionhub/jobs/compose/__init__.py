"""The New job page: a draft that grows by edits until it is submitted."""

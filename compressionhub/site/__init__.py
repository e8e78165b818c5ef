"""The site as a whole: its processes, its health, and the commands that start and check it."""

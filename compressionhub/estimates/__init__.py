"""Workloads of teams, and how figures that the engine estimated are shown."""

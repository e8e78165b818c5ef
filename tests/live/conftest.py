"""The cast of the hub's tests, for those that drive it with real processes."""

from tests.compressionhub.conftest import bob, hub_folders, other_team, person, team

__all__ = ["bob", "hub_folders", "other_team", "person", "team"]

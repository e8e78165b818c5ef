"""Where files lie: the blob store, and the folder of uploads on their way into it."""

from pathlib import Path

from django.conf import settings

from workers.store import FolderStore


def store() -> FolderStore:
    """The content-addressed store of this hub."""
    return FolderStore(Path(settings.STORE))


def arriving() -> Path:
    """The folder of unfinished uploads: inside the store's, so that taking one in is a rename."""
    folder = Path(settings.STORE) / "arriving"
    folder.mkdir(parents=True, exist_ok=True)
    return folder

"""What every test stands on: a data folder of its own and a real Valkey server."""

import os
import tempfile
from pathlib import Path

# Playwright's synchronous API keeps an event loop in the thread of the tests.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
_folder = tempfile.TemporaryDirectory(prefix="hub-tests-")
os.environ["HUB_DATA"] = _folder.name
os.environ["HUB_DEBUG"] = "1"
os.environ.pop("HUB_STORE", None)

from compressionhub.site.valkey import Valkey

_valkey = Valkey(Path(_folder.name) / "valkey")
os.environ["REDIS_URL"] = _valkey.start()


def pytest_unconfigure() -> None:
    """Stop the server and remove the folder, whatever happened."""
    _valkey.stop()
    _folder.cleanup()

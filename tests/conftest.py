"""What every test stands on: a data folder of its own and a real Valkey server."""

import os
import tempfile
from pathlib import Path

import pytest

# Playwright's synchronous API keeps an event loop in the thread of the tests.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
_folder = tempfile.TemporaryDirectory(prefix="hub-tests-")
os.environ["HUB_DATA"] = _folder.name
os.environ["HUB_DEBUG"] = "1"
os.environ.pop("HUB_STORE", None)

from compressionhub.site.valkey import Valkey

_valkey = Valkey(Path(_folder.name) / "valkey")
os.environ["REDIS_URL"] = _valkey.start()

# Named here and not in pyproject.toml: pytest-django would read the settings before this file set their environment.
os.environ["DJANGO_SETTINGS_MODULE"] = "compressionhub.settings"
import django
from django.conf import settings as _settings

django.setup()
assert Path(_folder.name) == _settings.DATA, "the settings were read before the tests' environment was set"


ALONE = {"live", "journeys", "attacks"}  # these run a whole site or end workers, and wait for what happens


def pytest_itemcollected(item: pytest.Item) -> None:
    if ALONE & set(item.path.parts):
        item.add_marker(pytest.mark.alone)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys go last: Playwright's event loop stays in this thread, and no asynchronous test can run beside it."""
    items.sort(key=lambda item: "journeys" in item.path.parts)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Let every process of a parallel run make an environment of its own, before pytest-django reads the settings."""
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)


def pytest_unconfigure() -> None:
    """Stop the server and remove the folder, whatever happened."""
    _valkey.stop()
    _folder.cleanup()

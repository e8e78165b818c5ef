"""Parts of a model's page that apps above the library add: the library knows files, they know what became of them."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.safestring import SafeString

from compressionhub.accounts.http import HubRequest
from compressionhub.library.models import ModelVersion

Panel = Callable[[HubRequest, ModelVersion], SafeString]
_panels: dict[str, Panel] = {}


def register(name: str, panel: Panel) -> None:
    """Let an app add a part to the page of a version. Registering a name again replaces it."""
    _panels[name] = panel


def shown(request: HubRequest, version: ModelVersion) -> list[SafeString]:
    """Every part for one version, in the order of their names."""
    return [_panels[name](request, version) for name in sorted(_panels)]

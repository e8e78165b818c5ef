"""The zoo app: the top layer, with the home page and the catalogue."""

import importlib

from django.apps import AppConfig
from django.http import HttpRequest


class ZooConfig(AppConfig):
    name = "compressionhub.zoo"
    label = "zoo"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from compressionhub.library import lineage, panels
        from compressionhub.ui.navigation import Place, register
        from compressionhub.zoo.history import panel
        from compressionhub.zoo.lineage import nodes

        importlib.import_module("compressionhub.zoo.receivers")
        lineage.register("zoo", nodes)
        panels.register("deployments", panel)

        register(Place(label="Home", icon="home", url_name="zoo:home", order=10, phone=True))
        register(Place(label="Zoo", icon="books", url_name="zoo:list", order=50, count=_entries, phone=True))
        register(Place(label="Compare", icon="scale", url_name="zoo:compare", order=55, phone=True))
        register(Place(label="Savings", icon="coin", url_name="zoo:savings", order=60, phone=True))
        register(Place(label="Reports", icon="file-text", url_name="reports:index", order=70, count=_waiting))


def _entries(request: HttpRequest) -> int:
    from compressionhub.zoo.models import Entry

    return Entry.objects.visible_to(request.user).listed().count()


def _waiting(request: HttpRequest) -> str:
    """How many decisions wait for this person."""
    from compressionhub.zoo.approvals.standing import waiting_for

    count = waiting_for(request.user, getattr(request, "team", None)).count()
    return f"{count} to decide" if count else ""

"""Which app answers under which address. Composition only."""

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

from compressionhub.api import api
from compressionhub.site import views


def _app(prefix: str, module: str) -> list[URLPattern | URLResolver]:
    return [path(prefix, include(module))] if find_spec(module) else []


urlpatterns = [
    path("healthz", views.healthz),
    path("metrics", views.metrics),
    *_app("", "compressionhub.zoo.urls"),
    *_app("", "compressionhub.accounts.urls"),
    *_app("", "compressionhub.library.urls"),
    *_app("fleet/", "compressionhub.fleet.urls"),
    *_app("jobs/", "compressionhub.jobs.urls"),
    *_app("docs/", "compressionhub.ui.urls"),
    path("api/v1/", api.urls),
]

handler400 = "compressionhub.errors.bad_request"
handler403 = "compressionhub.errors.no_permission"
handler404 = "compressionhub.errors.not_found"
handler500 = "compressionhub.errors.server_error"

"""Which app answers under which address. Composition only."""

from django.urls import include, path

from compressionhub.api import api
from compressionhub.jobs import blobs
from compressionhub.site import views
from compressionhub.zoo.reports import shared

urlpatterns = [
    path("healthz", views.healthz),
    path("metrics", views.metrics),
    path("", include("compressionhub.zoo.urls")),
    path("reports/", include("compressionhub.zoo.reports.urls")),
    path("approvals/", include("compressionhub.zoo.approvals.urls")),
    path("shared/<str:token>/", shared.page, name="shared"),
    path("shared/<str:token>/report.pdf", shared.pdf, name="shared-pdf"),
    path("", include("compressionhub.accounts.urls")),
    path("", include("compressionhub.library.urls")),
    path("jobs/", include("compressionhub.jobs.urls")),
    path("workloads/", include("compressionhub.estimates.urls")),
    path("internal/blobs/<path:key>", blobs.blob),
    path("fleet/", include("compressionhub.fleet.urls")),
    path("docs/", include("compressionhub.ui.urls")),
    path("api/v1/", api.urls),
]

handler400 = "compressionhub.errors.bad_request"
handler403 = "compressionhub.errors.no_permission"
handler404 = "compressionhub.errors.not_found"
handler500 = "compressionhub.errors.server_error"

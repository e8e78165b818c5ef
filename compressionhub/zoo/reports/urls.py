"""The addresses of reports; those of links to them stand at the root."""

from django.urls import path

from compressionhub.zoo.reports import views

app_name = "reports"
urlpatterns = [
    path("", views.index, name="index"),
    path("new/", views.new, name="new"),
    path("<uuid:pk>/", views.report, name="report"),
    path("<uuid:pk>/download/<str:kind>/", views.file, name="file"),
    path("<uuid:pk>/share/", views.share, name="share"),
    path("links/<uuid:pk>/revoke/", views.revoke, name="revoke"),
]

"""Addresses of the job pages."""

from django.urls import path

from compressionhub.jobs import views
from compressionhub.jobs.compose import sensitivity
from compressionhub.jobs.compose import views as compose

app_name = "jobs"

urlpatterns = [
    path("", views.index, name="index"),
    path("new/", compose.new, name="new"),
    path("sensitivity/", sensitivity.ask, name="sensitivity"),
    path("<uuid:pk>/", views.detail, name="detail"),
    path("<uuid:pk>/cancel/", views.cancel, name="cancel"),
    path("<uuid:pk>/retry/", views.retry, name="retry"),
    path("<uuid:pk>/again/", views.again, name="again"),
    path("<uuid:pk>/report.json", views.report, name="report"),
    path("<uuid:pk>/log.txt", views.log, name="log"),
]

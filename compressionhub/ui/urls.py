"""Addresses of the documentation that is made from the engine's classes."""

from django.urls import path

from compressionhub.ui import docs

app_name = "docs"

urlpatterns = [
    path("techniques/", docs.techniques_index, name="techniques"),
    path("techniques/<slug:slug>/", docs.technique, name="technique"),
]

from django.apps import AppConfig


class UiConfig(AppConfig):
    name = "compressionhub.ui"
    label = "ui"

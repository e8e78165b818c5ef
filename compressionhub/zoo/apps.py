"""The zoo app."""

from django.apps import AppConfig


class ZooConfig(AppConfig):
    name = "compressionhub.zoo"
    label = "zoo"

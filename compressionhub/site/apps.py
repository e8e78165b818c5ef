"""The site app: no rows, only commands and the addresses that machines ask."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "compressionhub.site"
    label = "site"

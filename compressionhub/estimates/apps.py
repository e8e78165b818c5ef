from django.apps import AppConfig


class EstimatesConfig(AppConfig):
    """What a team has to serve, and what it assumes about it."""

    name = "compressionhub.estimates"
    label = "estimates"
    default_auto_field = "django.db.models.BigAutoField"

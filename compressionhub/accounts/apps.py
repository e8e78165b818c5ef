"""The accounts app and its places in the navigation."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "compressionhub.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from compressionhub.ui.navigation import Place, register

        register(Place(label="Team", icon="users", url_name="accounts:team", order=90, group="Operate", phone=False))

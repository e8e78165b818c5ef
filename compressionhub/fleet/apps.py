from django.apps import AppConfig


class FleetConfig(AppConfig):
    """Workers: which are alive, what each can do, and which queue can run a job."""

    name = "compressionhub.fleet"
    label = "fleet"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from compressionhub.fleet import devices
        from compressionhub.library import hosts
        from compressionhub.ui.navigation import Place, register

        hosts.ask(devices.worker_host)
        register(Place(label="Fleet", icon="server-2", url_name="fleet:index", order=80, group="Operate"))

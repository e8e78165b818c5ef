from django.apps import AppConfig
from django.http import HttpRequest


class JobsConfig(AppConfig):
    """Engine work: asked for, queued, watched, ended."""

    name = "compressionhub.jobs"
    label = "jobs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from compressionhub.jobs import receivers
        from compressionhub.ui.navigation import Place, register

        receivers.connect()
        register(
            Place(label="Jobs", icon="list-check", url_name="jobs:index", order=40, count=running_count, phone=True)
        )


def running_count(request: HttpRequest) -> str | None:
    """The words beside the place in the navigation."""
    from compressionhub.jobs.models import Job

    team = getattr(request, "team", None)
    running = Job.objects.filter(team=team).active().count() if team else 0
    return f"{running} running" if running else None

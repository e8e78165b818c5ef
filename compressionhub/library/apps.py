"""The library app and its places in the navigation."""

from django.apps import AppConfig
from django.http import HttpRequest


class LibraryConfig(AppConfig):
    name = "compressionhub.library"
    label = "library"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from compressionhub.ui.navigation import Place, register

        register(
            Place(
                label="Models",
                icon="stack-2",
                url_name="library:models",
                order=20,
                count=_models,
                group="",
                phone=False,
            )
        )
        register(
            Place(
                label="Datasets",
                icon="database",
                url_name="library:datasets",
                order=30,
                count=_datasets,
                group="",
                phone=False,
            )
        )


def _models(request: HttpRequest) -> int:
    from compressionhub.library.models import TrainedModel

    return TrainedModel.objects.filter(team=request.team).count()  # type: ignore[attr-defined]


def _datasets(request: HttpRequest) -> int:
    from compressionhub.library.models import Dataset

    return Dataset.objects.filter(team=request.team).count()  # type: ignore[attr-defined]

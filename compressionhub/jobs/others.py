"""Which other models a recipe goes on with, such as the student of a distillation."""

from __future__ import annotations

from collections.abc import Iterable

from compressionhub.accounts.models import Team
from compressionhub.errors import HubError
from compressionhub.library.models import ModelVersion
from compressionhub.ui.ids import as_uuid
from workers.recipe import Recipe, brief


class NoSuchModel(HubError):
    """No model of the team has this id; that another team has one is not said."""

    status = 404
    code = "job.no-such-model"


def others_of(recipe: Recipe, team: Team) -> dict[str, ModelVersion]:
    """The team's model versions that a recipe names, by these names.

    Raises:
        NoSuchModel: if it names another one.
    """
    if not recipe.other_models:
        return {}
    ids = [key for name in recipe.other_models if (key := as_uuid(name))]
    mine = ModelVersion.objects.filter(model__team=team, pk__in=ids).select_related("model__team")
    return named(recipe, mine)


def named(recipe: Recipe, versions: Iterable[ModelVersion]) -> dict[str, ModelVersion]:
    """Versions by the names that a recipe gives them.

    Raises:
        NoSuchModel: if one is missing.
    """
    by_id = {str(version.pk): version for version in versions}
    found = {}
    for name in recipe.other_models:
        version = by_id.get(str(as_uuid(name)))
        if version is None:
            raise NoSuchModel(
                f"Expected a model version of this team as student, found none with the id {brief(name)}.",
                hint="Choose one from the library.",
            )
        found[name] = version
    return found

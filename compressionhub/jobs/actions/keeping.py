"""What is kept beside a job: recipes under a name, and who took which file."""

from __future__ import annotations

from django.db import transaction

from compressionhub.accounts.actions import audit
from compressionhub.accounts.models import Team, User
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import Invalid
from compressionhub.jobs.models import Artifact, SavedRecipe
from workers.recipe import Recipe


@transaction.atomic
def save_recipe(*, team: Team, name: str, recipe: Recipe, by: User) -> SavedRecipe:
    """Keep a recipe under a name; a recipe of that name is replaced.

    Raises:
        NotAllowed: if ``by`` may not submit jobs on this team.
        Invalid: if the name is empty or too long.
    """
    require(by, Verb.SUBMIT_JOB, team)
    clean = " ".join(name.split())
    if not 1 <= len(clean) <= 80:
        raise Invalid(f"Expected a name of 1 to 80 letters, found {len(clean)}.", hint="Choose a shorter name.")
    value = recipe.model_dump(mode="json")
    saved, _ = SavedRecipe.objects.update_or_create(team=team, name=clean, defaults={"recipe": value, "created_by": by})
    audit(by, "recipe.save", saved)
    return saved


def record_download(*, artifact: Artifact, by: User) -> None:
    """Write down who takes a file a job made.

    Raises:
        NotAllowed: if ``by`` may not download artifacts of this team.
    """
    require(by, Verb.DOWNLOAD, artifact.job.team)
    audit(by, "job.download", artifact.job, file=artifact.name, sha256=artifact.sha256)

"""Recipes kept for the next job."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from compressionhub.accounts.models import Team
from compressionhub.library.models import teams_of
from workers.recipe import Recipe, from_value


class SavedRecipeQuerySet(models.QuerySet["SavedRecipe"]):
    def visible_to(self, user: Any) -> SavedRecipeQuerySet:
        """Those of the person's teams."""
        return self.filter(team__in=teams_of(user))


class SavedRecipe(models.Model):
    """A recipe kept under a name for the next job."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="recipes")
    name = models.CharField(max_length=80)
    recipe = models.JSONField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SavedRecipeQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["team", "name"], name="recipe_name_once_per_team")]

    def __str__(self) -> str:
        return self.name

    @property
    def value(self) -> Recipe:
        return from_value(self.recipe)

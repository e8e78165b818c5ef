"""What the zoo does when something below it changes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from compressionhub.library.models import ModelVersion
from compressionhub.zoo import kept


@receiver(post_save, sender=ModelVersion, dispatch_uid="zoo.measured-anew")
def measured_anew(instance: ModelVersion, update_fields: Collection[str] | None = None, **more: Any) -> None:
    """A job measured a baseline: what serves of it may have figures now."""
    if update_fields is not None and "measured_json" in update_fields:
        kept.forget(instance)

"""What the library announces becomes a job: a file to inspect, a contract to try. What a job uses stays meanwhile."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import pre_delete

from compressionhub.errors import WrongState
from compressionhub.jobs import actions
from compressionhub.jobs.states import Kind
from compressionhub.library.models import Dataset, ModelVersion
from compressionhub.library.signals import file_arrived, trial_wanted


def connect() -> None:
    file_arrived.connect(_inspect, dispatch_uid="jobs.inspect")
    trial_wanted.connect(_try, dispatch_uid="jobs.try")
    for kind in (ModelVersion, Dataset):
        pre_delete.connect(_refuse_while_used, sender=kind, dispatch_uid=f"jobs.keep-{kind.__name__}")


def _inspect(instance: ModelVersion | Dataset, **_: Any) -> None:
    actions.submit_inspection(item=instance)


def _try(instance: ModelVersion, dataset: Dataset, by: Any = None, **_: Any) -> None:
    actions.submit_trial(version=instance, dataset=dataset, by=by)


def _refuse_while_used(instance: ModelVersion | Dataset, **_: Any) -> None:
    """Looking at a file may be cut short by deleting it; work that somebody asked for may not.

    Raises:
        WrongState: if a job uses it now.
    """
    used = instance.jobs.active().exclude(kind__in=(Kind.INSPECT, Kind.TRY)).first()
    if used is None and isinstance(instance, ModelVersion):
        used = instance.jobs_beside.active().first()
    if used is not None:
        raise WrongState(
            f"Job #{used.number} is using {instance}.", hint="Wait for it to end, or cancel it, then delete."
        )

"""What the library announces becomes a job: a file to inspect, a contract to try."""

from __future__ import annotations

from typing import Any

from compressionhub.jobs import actions
from compressionhub.library.models import Dataset, ModelVersion
from compressionhub.library.signals import file_arrived, trial_wanted


def connect() -> None:
    file_arrived.connect(_inspect, dispatch_uid="jobs.inspect")
    trial_wanted.connect(_try, dispatch_uid="jobs.try")


def _inspect(instance: ModelVersion | Dataset, **_: Any) -> None:
    actions.submit_inspection(item=instance)


def _try(instance: ModelVersion, dataset: Dataset, by: Any = None, **_: Any) -> None:
    actions.submit_trial(version=instance, dataset=dataset, by=by)

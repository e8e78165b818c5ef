"""Figures of deployments as they are kept: made when somebody looks and they are missing, or of an older release."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from compressionhub.library.models import ModelVersion
from compressionhub.zoo import numbers
from compressionhub.zoo.deployed import count
from compressionhub.zoo.deployment import DeploymentQuerySet
from compressionhub.zoo.models import Deployment, DeploymentFigures
from workers.estimate import Amount, InputFact
from workers.serving.tables import tables

FORMAT = 1  # raised whenever what is kept, or how it comes about, changes
AT_ONCE: Final = 50
WRITTEN: Final = ("made_from", "best", "says", "numbers", "amounts")


def made_from() -> str:
    """What figures depend on beside their deployment, which names its own tables: the release."""
    return f"{FORMAT}/{tables().version}"


def forget(baseline: ModelVersion | None) -> None:
    """Let the figures of what runs of a baseline be made anew: its variants changed, or what was measured of it."""
    DeploymentFigures.objects.filter(deployment__baseline=baseline, deployment__until=None).delete()


def forget_one(deployment: Deployment) -> None:
    DeploymentFigures.objects.filter(pk=deployment.pk).delete()


def refresh(missing: DeploymentQuerySet, *, within_s: float) -> int:
    """Make figures, fifty deployments at once, until the time is up.

    Returns:
        how many are left for the next time.
    """
    waiting = list(missing.order_by("workload", "pk").values_list("pk", flat=True))
    end = time.monotonic() + within_s
    for start in range(0, len(waiting), AT_ONCE):
        if time.monotonic() > end:
            return len(waiting) - start
        some = Deployment.objects.filter(pk__in=waiting[start : start + AT_ONCE])
        keep(list(some.select_related("baseline__model")))
    return 0


def keep(deployments: Sequence[Deployment]) -> list[DeploymentFigures]:
    """Ask the engine and keep what it says."""
    rows = [
        DeploymentFigures(
            deployment=each, made_from=made_from(), best_id=found.best,
            says=found.says[:300], numbers=numbers.written(found.amounts), amounts=packed(found.amounts),
        )
        for each, found in zip(deployments, count(deployments), strict=True)
    ]  # fmt: skip
    return DeploymentFigures.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["deployment"], update_fields=WRITTEN
    )


def of(deployment: Deployment) -> DeploymentFigures:
    """The figures of one deployment, made now if need be. What has ended keeps those it had."""
    kept = DeploymentFigures.objects.select_related("best").filter(pk=deployment.pk).first()
    if kept is None or (deployment.is_running and kept.made_from != made_from()):
        return keep([deployment])[0]
    return kept


def packed(amounts: Mapping[str, Amount]) -> dict[str, Any]:
    """Amounts as JSON with each input written once: most of them stand behind every figure."""
    facts: dict[InputFact, int] = {}
    told = {}
    for name, amount in amounts.items():
        at = [facts.setdefault(fact, len(facts)) for fact in amount.inputs]
        told[name] = {**amount.model_dump(mode="json", exclude={"inputs"}), "inputs": at}
    return {"facts": [fact.model_dump(mode="json") for fact in facts], "amounts": told}


def unpacked(value: Mapping[str, Any], *names: str) -> dict[str, Amount]:
    """The amounts of those names, or all of them."""
    facts = [InputFact.model_validate(each) for each in value["facts"]]
    return {
        name: Amount.model_validate({**told, "inputs": tuple(facts[at] for at in told["inputs"])})
        for name, told in value["amounts"].items()
        if not names or name in names
    }

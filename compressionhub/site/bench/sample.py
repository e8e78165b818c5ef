"""The digits CNN and its data, uploaded and confirmed on a stage, ready for jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compressionhub.env import ROOT
from compressionhub.site.bench.stage import until

if TYPE_CHECKING:
    from compressionhub.accounts.models import Team, User
    from compressionhub.library.models import Dataset, ModelVersion

DIGITS = ROOT / "examples" / "digits"
MODEL, DATA = DIGITS / "digits-cnn.onnx", DIGITS / "digits.npz"
STEPS: tuple[dict[str, Any], ...] = ({"technique": "magnitude-pruning"}, {"technique": "static-int8"})


@dataclass(frozen=True)
class Sample:
    team: Team
    owner: User
    version: ModelVersion
    dataset: Dataset


def ready_sample() -> Sample:
    """Upload both through the actions of the library, wait for a worker to verify them, and confirm the contract."""
    from compressionhub.library import actions
    from compressionhub.library.store import store
    from compressionhub.zoo.demo import first_team

    team, owner = first_team()
    version = actions.add_model(team=team, by=owner, name="cnn", blob=store().put(MODEL, name=MODEL.name))
    dataset = actions.add_dataset(team=team, by=owner, name="digits", blob=store().put(DATA, name=DATA.name))
    until(lambda: _ready(version) and _ready(dataset), "verifying the sample")
    actions.try_contract(version=version, dataset=dataset, by=owner)
    until(lambda: _fresh(version).tried, "trying the sample")
    actions.confirm_contract(version=version, by=owner)
    return Sample(team, owner, version, dataset)


def _fresh(item: Any) -> Any:
    item.refresh_from_db()
    return item


def _ready(item: Any) -> bool | None:
    return True if _fresh(item).is_ready else None

"""What the judge can say about a device that is not here: the predicted times, and the accuracy its sums would give.

Whether the network fits and whether it answers the same is tried afterwards, in processes of their own.
"""

import hashlib
from pathlib import Path

from workers.contract import Contract
from workers.device import host, profile
from workers.elsewhere.accuracy import cross_check
from workers.elsewhere.answers import INPUT, rows_for
from workers.emulation.pair import predict_pair
from workers.facts import ModelFacts, Role
from workers.report import Emulation, MemoryTrial, SameAnswers, Trials
from workers.shop import Shop, rows
from workers.ticket import ROWS_FILE
from workers.workbench import Data

NOT_TRIED = MemoryTrial(fits=None, cap_bytes=0, why="It was not tried.")


def elsewhere(shop: Shop, result: Path, facts: list[ModelFacts], data: Data, contract: Contract) -> Emulation | None:
    """The first part of the answers about the order's device; nothing where that is this host.

    Args:
        result: the artifact.
        facts: of baseline and result.
    """
    there = profile(shop.order.device)
    if there.key in (host().key, shop.order.profile):
        return None  # it is here
    if shop.order.emulator is not None:
        keep_rows(data, rows_for(facts[1].macs))
    return Emulation(
        device=there.key,
        title=there.title,
        threads=there.threads,
        fits=Trials(baseline=NOT_TRIED, result=NOT_TRIED),
        answers=SameAnswers(same=None, why="They were not compared."),
        predicted=predict_pair(facts[0], facts[1], there, shop.order.anchors, (_sha256(shop.model), _sha256(result))),
        accuracy=cross_check(shop, there, result, facts[1], data, contract),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep_rows(data: Data, count: int) -> None:
    """Write the first test rows for another process to answer; none where ``count`` is 0."""
    import numpy as np

    role = Role.TEST if rows(data.facts, Role.TEST) else next(iter(data.facts.roles))
    if count:
        batch = next(iter(data.batches(role, size=count, limit=count)))
        named = {f"{INPUT}{name}": array for name, array in batch.inputs.items()}
        np.savez(Path("out") / ROWS_FILE, allow_pickle=False, **named)

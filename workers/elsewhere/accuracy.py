"""The result's accuracy as an x86 processor without VNNI would compute it, from a worker that has VNNI."""

from pathlib import Path
from typing import TYPE_CHECKING

from workers import evaluation, formats
from workers.contract import Contract
from workers.device import DeviceProfile, host
from workers.facts import ModelFacts, Role
from workers.metric import for_contract
from workers.report import AccuracyThere
from workers.shop import Shop, rows
from workers.workbench import Data

if TYPE_CHECKING:
    from onnx import ModelProto

MOST_ROWS = 5000
FILE = Path("scratch") / "without-vnni.onnx"
NO_RISK = (
    "Yes: weights keep to so few bits that no sum of two products leaves 16 bits; the accuracy measured here holds."
)


def cross_check(
    shop: Shop, there: DeviceProfile, result: Path, facts: ModelFacts, data: Data, contract: Contract
) -> AccuracyThere | None:
    """Evaluate the result with its sums saturated; nothing where that is no question for this device or network."""
    if there.arch != "x86_64" or there.has_int8_dot_product or not facts.quantized:
        return None
    if not host().has_int8_dot_product:
        return AccuracyThere(pairs_at_risk=0, says="Yes: this worker has no VNNI either; the accuracy was measured so.")
    from workers.graph import saturation

    proto = formats.load(result)
    at_risk = saturation.pairs_at_risk(proto)
    if not at_risk:
        return AccuracyThere(pairs_at_risk=0, says=NO_RISK)
    if not saturation.is_static(proto):
        return AccuracyThere(pairs_at_risk=at_risk, says=_not_followed(at_risk, "layers that find their ranges anew"))
    try:
        slower = saturation.without_vnni(proto)
    except ValueError:
        return AccuracyThere(pairs_at_risk=at_risk, says=_not_followed(at_risk, "so many pairs"))
    return _evaluated(shop, slower, result, data, contract, at_risk)


def _not_followed(at_risk: int, what: str) -> str:
    return (
        f"Not known: {at_risk:,} pairs of weights can leave 16 bits there, and {what} are not followed. "
        "Keep weights to 7 bits."
    )


def _evaluated(
    shop: Shop, slower: "ModelProto", result: Path, data: Data, contract: Contract, at_risk: int
) -> AccuracyThere:
    """Both on the same test rows; a sample for which no label is known says nothing."""
    if not rows(data.facts, Role.TEST):
        return AccuracyThere(pairs_at_risk=at_risk, says="Not known: there is no test data.")
    formats.save(slower, FILE)
    here, there = (
        evaluation.predict(
            evaluation.open_session(path, threads=shop.order.threads),
            data,
            Role.TEST,
            limit=MOST_ROWS,
            check=shop.check,
        )
        for path in (result, FILE)
    )
    scores = [evaluation.score(one, contract, seed=shop.order.seed) for one in (here, there)]
    name = next((metric.name for metric in for_contract(contract) if metric.name in scores[0]), "")
    if not name:
        return AccuracyThere(pairs_at_risk=at_risk, says="Not known: the test data have no labels.")
    return AccuracyThere(
        pairs_at_risk=at_risk,
        metric=name,
        here=scores[0][name],
        there=scores[1][name],
        change=evaluation.compare(here, there, contract, seed=shop.order.seed)[name],
    )

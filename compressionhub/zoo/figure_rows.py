"""The figures of one deployment as its page writes them."""

from __future__ import annotations

from dataclasses import dataclass

from compressionhub.estimates.models import Workload
from compressionhub.zoo import kept
from compressionhub.zoo.models import Deployment, DeploymentFigures
from compressionhub.zoo.portfolio import currency_of
from workers.estimate import Amount
from workers.serving.shown import in_currency

NAMES = {"bill": "Bill a month", "energy": "Energy a month", "carbon": "CO₂e a month", "wait": "Waiting, p95 at peak"}
VIEWS = {
    "before": "{}, baseline", "paid": "{}, now", "saved": "{}, saved", "share": "{}, share saved",
    "could": "{}, could still be saved", "could_share": "{}, share that could still be saved",
}  # fmt: skip
TITLES = {f"{name}.{view}": says.format(title) for name, title in NAMES.items() for view, says in VIEWS.items()}


@dataclass(frozen=True)
class FigureRow:
    """One quantity of a deployment: without compression, now, and the difference. Waiting has no savings."""

    key: str
    title: str
    before: Amount
    paid: Amount
    saved: Amount | None
    share: Amount | None
    could: Amount | None
    could_share: Amount | None


def figure_rows(deployment: Deployment, kept_as: DeploymentFigures) -> list[FigureRow]:
    """Whole figures, in the currency in which the team's are added up."""
    shown = _shown(deployment, kept.unpacked(kept_as.amounts))
    return [
        FigureRow(key, title, *(shown.get(f"{key}.{view}") for view in VIEWS))  # type: ignore[arg-type]
        for key, title in NAMES.items()
    ]


def one_figure(deployment: Deployment, kept_as: DeploymentFigures, name: str) -> Amount | None:
    """One of them by its name, such as ``bill.paid``."""
    return _shown(deployment, kept.unpacked(kept_as.amounts, name)).get(name)


def _shown(deployment: Deployment, amounts: dict[str, Amount]) -> dict[str, Amount]:
    currency = currency_of(Workload.objects.filter(team=deployment.team_id, is_usual=True).first())
    return {name: in_currency(amount, currency) for name, amount in amounts.items()}

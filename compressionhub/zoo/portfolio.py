"""What a team's models cost, emit and save: recorded deployments with their kept figures, added up by the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final, NamedTuple
from uuid import UUID

import numpy as np

from compressionhub.accounts.models import Team, User
from compressionhub.estimates import said
from compressionhub.estimates.models import Workload
from compressionhub.ui import units
from compressionhub.zoo import kept, numbers, trend
from compressionhub.zoo.compare.evidence import Evidence, evidence
from compressionhub.zoo.deployed import UNITS
from compressionhub.zoo.deployment import DeploymentQuerySet
from compressionhub.zoo.models import Deployment, DeploymentFigures
from compressionhub.zoo.numbers import AT, QUANTITIES
from compressionhub.zoo.spending import Spending, spending
from workers.estimate import Amount
from workers.numerics.queueing import Floats
from workers.serving import shown, totals
from workers.serving.shown import NOTHING
from workers.serving.totals import Parts, part_of
from workers.serving.workload import DAYS, Currency

PAGE: Final = 25
REFRESH_S: Final = 0.4  # of a page's time goes into figures that are missing
NOTHING_SERVES: Final = "Nobody has recorded a deployment."
ORDERS: Final = {"could": "bill.could", "spend": "bill.paid", "saved": "bill.saved", "carbon": "carbon.paid"}
COLUMNS: Final = (
    "pk", "since", "until", "entry__name", "baseline__model__name", "figures__made_from", "figures__numbers",
)  # fmt: skip
UNREAD: Final = ("entry__record_json", "figures__best__record_json", "figures__amounts", "figures__numbers")


class Line(NamedTuple):
    """One deployment. Its figures stand in its place among the portfolio's."""

    pk: UUID
    since: date
    until: date | None
    variant: str | None
    name: str
    made_from: str | None

    @property
    def runs(self) -> bool:
        return self.until is None

    def months(self, today: date) -> float:
        """How long it served, in months of the engine."""
        return max(0, ((self.until or today) - self.since).days) / DAYS

    def is_current(self, tables: str) -> bool:
        return self.made_from is not None and (not self.runs or self.made_from == tables)


@dataclass(frozen=True)
class Row:
    """One running deployment as the table shows it, with the figures to write.

    ``says`` is why nothing more can be saved, empty where something can: by ``best``.
    """

    deployment: Deployment
    says: str
    best: str
    bill: Amount
    energy: Amount
    carbon: Amount
    saved: Amount
    could: Amount
    could_share: Amount
    could_energy: Amount
    could_energy_share: Amount

    @property
    def still(self) -> tuple[str, Amount, Amount]:
        """What could still be saved, in money or, where no bill is known, in energy."""
        if self.could.is_known or not self.could_energy.is_known:
            return "bill", self.could, self.could_share
        return "energy", self.could_energy, self.could_energy_share


@dataclass(frozen=True)
class Portfolio:
    """The team's deployments. Realised and possible savings are figures of their own and are never added.

    ``figures`` is (lines, figures, 4), as ``numbers`` reads them.
    """

    team: Team
    lines: tuple[Line, ...]
    figures: Floats
    left: int
    today: date
    currency: Currency | None
    usual: Workload | None

    @cached_property
    def running(self) -> list[Line]:
        return [line for line in self.lines if line.runs]

    @cached_property
    def _now(self) -> Floats:
        """The figures of what runs."""
        return self.figures[[line.runs for line in self.lines]]

    @cached_property
    def _names(self) -> list[str]:
        return [line.name for line in self.running]

    def _parts(self, name: str) -> Parts:
        return Parts(self._names, self._now[:, AT[name]])

    def total(self, name: str) -> Amount:
        """The sum of one figure over what runs: ``bill.paid``."""
        return self._money(totals.total(self._parts(name), UNITS[name.partition(".")[0]], nothing=NOTHING_SERVES))

    @cached_property
    def paid(self) -> dict[str, Amount]:
        return {name: self.total(f"{name}.paid") for name in QUANTITIES}

    @cached_property
    def saved(self) -> dict[str, Amount]:
        return {name: self.total(f"{name}.saved") for name in QUANTITIES}

    @cached_property
    def before(self) -> dict[str, Amount]:
        return {name: self.total(f"{name}.before") for name in QUANTITIES}

    @property
    def ends(self) -> dict[str, float]:
        """Where the axis of each tile ends: a tenth beyond all that it shows."""
        return {name: 1.1 * max(*_ends(self.paid[name]), *_ends(self.before[name])) for name in self.paid}

    @cached_property
    def could(self) -> Amount:
        """What could still be saved a month, were each best listed variant to serve; never added to what is saved."""
        return self.total("bill.could")

    @cached_property
    def share(self) -> Amount:
        """What compression saves of what the baselines would cost."""
        return totals.share(self._parts("bill.share"), self._parts("bill.before"), nothing=NOTHING_SERVES)

    @cached_property
    def saved_so_far(self) -> Amount:
        chosen = np.array([bool(line.variant) for line in self.lines], dtype=bool)
        months = np.array([line.months(self.today) for line in self.lines])
        saved = Parts([line.name for line in self.lines], self.figures[:, AT["bill.saved"]]).times(months)
        return self._money(totals.total(saved.among(chosen), "$", nothing="No deployment of a variant is recorded."))

    @cached_property
    def best(self) -> int | None:
        """The place, among what runs, of where most money could still be saved."""
        could = np.nan_to_num(self._now[:, AT["bill.could"], 0])
        return int(could.argmax()) if could.max(initial=0.0) > 0 else None

    @cached_property
    def best_entry(self) -> Evidence | None:
        if self.best is None:
            return None
        kept_as = DeploymentFigures.objects.filter(pk=self.running[self.best].pk, best__isnull=False)
        return next(iter(evidence(list(kept_as.values_list("best", flat=True)))), None)

    @property
    def best_title(self) -> str:
        """What the best of the possible savings is, with its figure."""
        assert self.best is not None, "asked for what could be saved where nothing can"
        now = self._now[self.best]
        could, share = (self._money(amount_of(now, name)) for name in ("bill.could", "bill.could_share"))
        return f"{self._names[self.best]} could save {said.value(could)} a month ({said.value(share)})"

    @property
    def best_says(self) -> str:
        """What it gives up and gains, measured."""
        assert self.best_entry is not None, "asked about a variant where there is none"
        change, low, high = (units.number(each, 2, signed=True) for each in self.best_entry.change)
        noise = "more than noise" if self.best_entry.distinguishable else "within noise"
        speed = units.times(self.best_entry.speedup)
        return (
            f"{self.best_entry.name} passed its gate: {change} points ({low} to {high}), {noise}; latency {speed} "
            f"at batch 1."
        )

    @cached_property
    def models(self) -> int:
        return len(set(self._names))

    @property
    def says(self) -> str:
        """The page's question answered in a sentence or two."""
        bill = self.paid["bill"]
        if not bill.is_known:
            return f"{units.counted(self.models, 'model')} in use; what that costs is not known."
        plural = "s" if self.models == 1 else ""
        spend = f"{units.counted(self.models, 'model')} in use cost{plural} {said.value(bill)} a month"
        spend = f"{spend}; the cost of some is not known." if bill.reason else f"{spend}."
        share = self.share.value or 0.0
        saves = f"Compression already saves {said.value(self.share)} of what that would be" if share > NOTHING else ""
        could = self.could.value or 0.0
        more = f"{said.value(self.could)} a month could still be saved" if could > 0 else ""
        rest = "; ".join(each for each in (saves, more) if each)
        return f"{spend} {rest}." if rest else spend

    @property
    def spend_note(self) -> str:
        """What the sum leaves out, or what it is."""
        return self.paid["bill"].reason or "price × instances that run"

    @property
    def saved_note(self) -> str:
        known = [each for each in self.saved.values() if each.is_known]
        return f"{', '.join(said.value(each) for each in known)} a month, from recorded deployments" if known else ""

    @property
    def earned_back(self) -> str:
        """What was saved so far beside what compressing cost; the two are compared where both are known."""
        saved, cost = self.saved_so_far, self.spending.cost
        if not saved.is_known:
            return f"Saved so far: not known. {saved.reason}"
        told = f"It has saved {said.value(saved)} so far"
        if not cost.value:
            return f"{told}."
        times = (saved.value or 0.0) / cost.value
        return f"{told}: earned back {units.significant(times)} times." if times > 0 else f"{told}: not earned back."

    @cached_property
    def spending(self) -> Spending:
        return spending(self.team, self.usual)

    @cached_property
    def trend(self) -> trend.Trend | None:
        paid, without = (self.figures[:, AT[name], 0].tolist() for name in ("bill.paid", "bill.before"))
        return trend.drawn(self.lines, paid, without, self.today, self.currency)

    def page(self, order: str, number: int) -> list[Row]:
        """Rows of one page with their whole figures."""
        places = sorted(range(len(self.running)), key=self._names.__getitem__)
        if order in ORDERS:
            by = (-np.nan_to_num(self._now[:, AT[ORDERS[order]], 0])).tolist()
            places.sort(key=by.__getitem__)
        chosen = places[(number - 1) * PAGE : number * PAGE]
        among = Deployment.objects.select_related("baseline__model", "entry", "figures__best").defer(*UNREAD)
        found = among.in_bulk([self.running[at].pk for at in chosen])
        rows = ((self._now[at], found.get(self.running[at].pk)) for at in chosen)
        return [_row(figures, deployment, self._money) for figures, deployment in rows if deployment is not None]

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.running) // PAGE))

    def _money(self, amount: Amount) -> Amount:
        return shown.in_currency(amount, self.currency)


def portfolio(team: Team, user: User, *, today: date) -> Portfolio:
    """Read what is kept, after making some of what is missing."""
    (lines, figures), left = _lines(team, user), 0
    if not all(line.is_current(kept.made_from()) for line in lines):
        left = kept.refresh(_among(team, user).without_figures(kept.made_from()), within_s=REFRESH_S)
        lines, figures = _lines(team, user)
    usual = Workload.objects.filter(team=team, is_usual=True).first()
    return Portfolio(team, lines, figures, left, today, currency_of(usual), usual)


def currency_of(usual: Workload | None) -> Currency | None:
    """Deployments of a team are added up in one currency: that of its usual workload, else dollars."""
    return usual.assumed.workload.currency if usual else None


def _lines(team: Team, user: User) -> tuple[tuple[Line, ...], Floats]:
    """All deployments, the first recorded first, and their figures."""
    rows = list(_among(team, user).order_by("since", "recorded_at").values_list(*COLUMNS))
    return tuple(Line(*row[:-1]) for row in rows), numbers.read(row[-1] for row in rows)


def _among(team: Team, user: User) -> DeploymentQuerySet:
    return Deployment.objects.visible_to(user).filter(team=team).counted()


def amount_of(figures: Floats, name: str, why_not: str = "") -> Amount:
    """Value, range and class alone: what it rests on is asked for when somebody opens it."""
    quantity, _, view = name.partition(".")
    unit = "share" if view in ("share", "could_share") else UNITS[quantity]
    _, value, low, high, grade = part_of("", figures[AT[name]])
    if value is None:
        return Amount.unknown(unit, why_not or "Its page says why.")
    return Amount(value=value, low=low, high=high, unit=unit, grade=grade, method="")


def _ends(amount: Amount) -> tuple[float, float]:
    return amount.value or 0.0, amount.high or 0.0


def _row(figures: Floats, deployment: Deployment, money: Callable[[Amount], Amount]) -> Row:
    kept_as: DeploymentFigures | None = getattr(deployment, "figures", None)  # none until they are made
    says = kept_as.says if kept_as else ""

    def amount(name: str) -> Amount:
        return money(amount_of(figures, name, says))

    return Row(
        deployment=deployment, says=says, best=kept_as.best.name if kept_as and kept_as.best else "",
        bill=amount("bill.paid"), energy=amount("energy.paid"), carbon=amount("carbon.paid"),
        saved=amount("bill.saved"), could=amount("bill.could"), could_share=amount("bill.could_share"),
        could_energy=amount("energy.could"), could_energy_share=amount("energy.could_share"),
    )  # fmt: skip

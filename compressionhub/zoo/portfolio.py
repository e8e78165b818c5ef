"""What a team's models cost, emit and save: recorded deployments with their kept figures, added up by the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from compressionhub.accounts.models import Team, User
from compressionhub.estimates import said
from compressionhub.estimates.models import Workload
from compressionhub.ui import units
from compressionhub.zoo import kept, trend
from compressionhub.zoo.compare.evidence import Evidence, evidence
from compressionhub.zoo.deployed import UNITS
from compressionhub.zoo.models import Deployment, DeploymentFigures
from compressionhub.zoo.spending import Spending, spending
from workers.estimate import Amount, Grade
from workers.serving import shown, totals
from workers.serving.shown import NOTHING
from workers.serving.totals import Part
from workers.serving.workload import DAYS, Currency

PAGE: Final = 25
REFRESH_S: Final = 0.4  # of a page's time goes into figures that are missing
NOT_KNOWN: Final = (None, None, None, None)
GRADES: Final = {each.value: each for each in Grade}
NOTHING_SERVES: Final = "Nobody has recorded a deployment."
ORDERS: Final = {"could": "bill.could", "spend": "bill.paid", "saved": "bill.saved", "carbon": "carbon.paid"}
COLUMNS: Final = (
    "pk", "since", "until", "entry__name", "baseline__number", "baseline__model__name", "figures__numbers",
    "figures__made_from", "figures__says", "figures__best__name",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One deployment with its numbers: ``[value, low, high, class]`` by ``quantity.view``."""

    pk: UUID
    since: date
    until: date | None
    variant: str
    number: int
    name: str
    numbers: dict[str, list[Any]]
    made_from: str
    says: str
    best_name: str

    @property
    def runs(self) -> bool:
        return self.until is None

    @property
    def key(self) -> str:
        """What its figures are called on the page."""
        return f"{self.pk.hex[:12]}-"

    @property
    def serves(self) -> str:
        return self.variant or f"v{self.number}, untouched"

    def part(self, name: str) -> Part:
        value, low, high, grade = self.numbers.get(name, NOT_KNOWN)
        return Part(self.name, value, low, high, GRADES.get(grade) if grade else None)

    def value(self, name: str) -> float | None:
        found: float | None = self.numbers.get(name, NOT_KNOWN)[0]
        return found

    def months(self, today: date) -> float:
        """How long it served, in months of the engine."""
        return max(0, ((self.until or today) - self.since).days) / DAYS

    def is_current(self, tables: str) -> bool:
        return bool(self.numbers) and (not self.runs or self.made_from == tables)


@dataclass(frozen=True)
class Row:
    """One running deployment as the table shows it, with the figures to write and what they are called by."""

    line: Line
    deployment: Deployment
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
    """The team's deployments. Realised and possible savings are figures of their own and are never added."""

    team: Team
    lines: tuple[Line, ...]
    left: int
    today: date
    currency: Currency | None
    usual: Workload | None

    @cached_property
    def running(self) -> list[Line]:
        return [line for line in self.lines if line.runs]

    def total(self, name: str) -> Amount:
        """The sum of one figure over what runs: ``bill.paid``."""
        quantity = name.partition(".")[0]
        parts = [line.part(name) for line in self.running]
        return self._money(totals.total(parts, UNITS[quantity], nothing=NOTHING_SERVES))

    @cached_property
    def paid(self) -> dict[str, Amount]:
        return {name: self.total(f"{name}.paid") for name in ("bill", "energy", "carbon")}

    @cached_property
    def saved(self) -> dict[str, Amount]:
        return {name: self.total(f"{name}.saved") for name in ("bill", "energy", "carbon")}

    @cached_property
    def before(self) -> dict[str, Amount]:
        return {name: self.total(f"{name}.before") for name in ("bill", "energy", "carbon")}

    @property
    def ends(self) -> dict[str, float]:
        """Where the axis of each tile ends: a tenth beyond all that it shows."""
        return {name: 1.1 * max(*_ends(self.paid[name]), *_ends(self.before[name])) for name in self.paid}

    @cached_property
    def could(self) -> Amount:
        """What could still be saved a month, were each best listed variant to serve; never added to what is saved."""
        known = [line.part("bill.could") for line in self.running]
        return self._money(totals.total(known, UNITS["bill"], nothing=NOTHING_SERVES))

    @cached_property
    def share(self) -> Amount:
        """What compression saves of what the baselines would cost."""
        pairs = [(line.part("bill.share"), line.part("bill.before")) for line in self.running]
        return totals.share(pairs, nothing=NOTHING_SERVES)

    @cached_property
    def saved_so_far(self) -> Amount:
        return self._so_far("bill", "$")

    def _so_far(self, quantity: str, unit: str) -> Amount:
        parts = [each.part(f"{quantity}.saved").times(each.months(self.today)) for each in self.lines if each.variant]
        return self._money(totals.total(parts, unit, nothing="No deployment of a variant is recorded."))

    @cached_property
    def best(self) -> Line | None:
        """Where most money could still be saved."""
        known = [line for line in self.running if line.best_name and (line.value("bill.could") or 0) > 0]
        return max(known, key=lambda line: line.value("bill.could") or 0.0, default=None)

    @cached_property
    def best_entry(self) -> Evidence | None:
        if self.best is None:
            return None
        found = DeploymentFigures.objects.filter(pk=self.best.pk, best__isnull=False).values_list("best", flat=True)
        return next(iter(evidence(list(found))), None)

    @property
    def best_title(self) -> str:
        """What the best of the possible savings is, with its figure."""
        assert self.best is not None, "asked for what could be saved where nothing can"
        could, share = (self._money(amount_of(self.best, name)) for name in ("bill.could", "bill.could_share"))
        return f"{self.best.name} could save {said.value(could)} a month ({said.value(share)})"

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
        return len({line.name for line in self.running})

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
        return trend.drawn(self.lines, self.today, self.currency)

    def page(self, order: str, number: int) -> list[Row]:
        """Rows of one page with their whole figures."""
        ordered = sorted(self.running, key=lambda line: line.name)
        if order in ORDERS:
            ordered.sort(key=lambda line: -(line.value(ORDERS[order]) or 0.0))
        chosen = ordered[(number - 1) * PAGE : number * PAGE]
        among = Deployment.objects.select_related("baseline__model", "entry").defer("entry__record_json")
        found = among.in_bulk([line.pk for line in chosen])
        return [_row(line, found[line.pk], self._money) for line in chosen if line.pk in found]

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.running) // PAGE))

    def _money(self, amount: Amount) -> Amount:
        return shown.in_currency(amount, self.currency)


def portfolio(team: Team, user: User, *, today: date) -> Portfolio:
    """Read what is kept, after making some of what is missing."""
    lines = _lines(team, user)
    tables = kept.made_from()
    missing = [line.pk for line in lines if not line.is_current(tables)]
    left = 0
    if missing:
        among = Deployment.objects.select_related("baseline__model", "entry").in_bulk(missing)
        left = kept.refresh(among.values(), within_s=REFRESH_S)
        lines = _lines(team, user)
    usual = Workload.objects.filter(team=team, is_usual=True).first()
    return Portfolio(team, lines, left, today, currency_of(usual), usual)


def currency_of(usual: Workload | None) -> Currency | None:
    """Deployments of a team are added up in one currency: that of its usual workload, else dollars."""
    return usual.assumed.workload.currency if usual else None


def _lines(team: Team, user: User) -> tuple[Line, ...]:
    found = Deployment.objects.visible_to(user).filter(team=team).counted().order_by("since", "recorded_at")
    return tuple(_line(values) for values in found.values_list(*COLUMNS))


def _line(values: Sequence[Any]) -> Line:
    pk, since, until, variant, number, name, numbers, made_from, says, best_name = values
    return Line(
        pk=pk, since=since, until=until, variant=variant or "", number=number, name=name, numbers=numbers or {},
        made_from=made_from or "", says=says or "", best_name=best_name or "",
    )  # fmt: skip


def amount_of(line: Line, name: str) -> Amount:
    """Value, range and class alone: what it rests on is asked for when somebody opens it."""
    quantity, _, view = name.partition(".")
    unit = "share" if view in ("share", "could_share") else UNITS[quantity]
    value, low, high, grade = line.part(name)[1:]
    if value is None:
        return Amount.unknown(unit, line.says or "Its page says why.")
    return Amount(value=value, low=low, high=high, unit=unit, grade=grade, method="")


def _ends(amount: Amount) -> tuple[float, float]:
    return amount.value or 0.0, amount.high or 0.0


def _row(line: Line, deployment: Deployment, money: Callable[[Amount], Amount]) -> Row:
    def amount(name: str) -> Amount:
        return money(amount_of(line, name))

    return Row(
        line=line, deployment=deployment, bill=amount("bill.paid"), energy=amount("energy.paid"),
        carbon=amount("carbon.paid"), saved=amount("bill.saved"), could=amount("bill.could"),
        could_share=amount("bill.could_share"), could_energy=amount("energy.could"),
        could_energy_share=amount("energy.could_share"),
    )  # fmt: skip

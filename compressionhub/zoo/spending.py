"""What compression itself took: the team's compress jobs, at the rates somebody typed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import Count, DurationField, ExpressionWrapper, F, Min, Sum

from compressionhub.accounts.models import Team
from compressionhub.errors import HubError
from compressionhub.estimates import tables
from compressionhub.estimates.models import Workload
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import Kind
from workers.errors import YoursToFix
from workers.estimate import Amount
from workers.serving import shown
from workers.serving.totals import spent

NO_RATES = "No workload says what an hour of the host costs and what it draws. There is no default: type both in."


@dataclass(frozen=True)
class Spending:
    """All compress jobs that ended, whatever came of them."""

    jobs: int
    hours: float
    since: date | None
    cost: Amount
    energy: Amount
    carbon: Amount

    @property
    def seconds(self) -> float:
        return self.hours * 3600

    @property
    def is_known(self) -> bool:
        """Whether anything of it is."""
        return self.cost.is_known or self.energy.is_known

    @property
    def gaps(self) -> tuple[str, ...]:
        """Why a figure is not known, each reason once."""
        asked = (self.cost, self.energy, self.carbon)
        return tuple(dict.fromkeys(each.reason for each in asked if not each.is_known))


def spending(team: Team, usual: Workload | None) -> Spending:
    """Add up the team's jobs under the rates of its usual workload."""
    jobs, hours, since = _hours(team)
    unknown = [Amount.unknown(unit, NO_RATES) for unit in ("$", "kWh", "kg CO2e")]
    if usual is not None and jobs:
        plural = "" if jobs == 1 else "s"
        run = usual.assumed.job.run(title=f"{jobs} job{plural}", hours=hours)
        try:
            found = spent(usual.assumed.workload, run, data=tables.of(usual.assumed))
            unknown = [found.cost, found.energy, found.carbon]
        except (YoursToFix, HubError) as fault:
            unknown = [Amount.unknown(each.unit, fault.message) for each in unknown]
    currency = usual.assumed.workload.currency if usual else None
    return Spending(jobs, hours, since, *(shown.in_currency(each, currency) for each in unknown))


def _hours(team: Team) -> tuple[int, float, date | None]:
    """How many ended, how long they ran, and the day of the first."""
    ended = Job.objects.filter(team=team, kind=Kind.COMPRESS).ended().filter(started_at__isnull=False)
    ran = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
    found = ended.aggregate(jobs=Count("pk"), ran=Sum(ran), first=Min("started_at"))
    hours = found["ran"].total_seconds() / 3600 if found["ran"] else 0.0
    return found["jobs"], hours, found["first"].date() if found["first"] else None

"""Which tables an estimate is made with: those its assumptions name, for ever."""

from __future__ import annotations

from functools import lru_cache

from compressionhub.accounts.models import Team
from compressionhub.errors import Invalid
from compressionhub.estimates.assumptions import Assumptions
from compressionhub.estimates.models import TableSet
from workers.serving.tables import Tables
from workers.serving.tables import tables as packaged

MOST_HELD = 16


def of(assumed: Assumptions) -> Tables:
    """The tables of some assumptions.

    Raises:
        Invalid: if that set is gone, as after an export to another hub.
    """
    return at(assumed.tables)


def at(version: str) -> Tables:
    """A set by its version; the packaged ones for an empty one.

    Raises:
        Invalid: if no such set was kept.
    """
    own = packaged()
    return own if version in ("", own.version) else _kept(version)


@lru_cache(maxsize=MOST_HELD)
def _kept(version: str) -> Tables:
    found = TableSet.objects.filter(version=version).first()
    if found is None:
        raise Invalid(
            f"Expected the tables {version}, found them no longer kept.",
            hint="Move the workload to the newest tables.", code="tables.gone",
        )  # fmt: skip
    return Tables.read(found.texts)


def newest(team: Team) -> Tables:
    """Those that new workloads of a team use."""
    found = TableSet.objects.filter(team=team).values_list("version", flat=True).first()
    return at(found or "")


def keep_packaged() -> str:
    """See that the packaged tables can be read again after an update of the product; their version."""
    own = packaged()
    if not TableSet.objects.filter(version=own.version).exists():
        TableSet.objects.get_or_create(
            version=own.version, team=None, defaults={"number": 0, "texts": dict(own.texts)}
        )  # fmt: skip
    return own.version

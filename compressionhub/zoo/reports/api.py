"""Reports in the API, to read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from django.db.models import Prefetch
from django.shortcuts import get_object_or_404
from ninja import Query, Router

from compressionhub.library.api import Asked, Page
from compressionhub.zoo.approvals.models import Approval
from compressionhub.zoo.reports.evidence import Evidence
from compressionhub.zoo.reports.models import Report, ReportQuerySet
from workers.errors import Frozen

router = Router(tags=["reports"])


class DecisionOut(Frozen):
    """A request for approval on this report, and its decision."""

    entry: UUID
    decision: str
    why: str
    asked_at: datetime
    decided_at: datetime | None
    reason: str


class ReportOut(Frozen):
    """A frozen report. ``sha256`` is that of its evidence, written with sorted keys and without spaces."""

    id: UUID
    number: int
    title: str
    made_at: datetime
    sha256: str
    entries: list[UUID]
    approvals: list[DecisionOut]


class WholeReportOut(ReportOut):
    evidence: Evidence


@router.get("/reports", response=list[ReportOut], summary="List reports, newest first")
def reports(request: Asked, page: Annotated[Page, Query()]) -> list[ReportOut]:
    return [_told(row) for row in _mine(request).defer("evidence_text")[page.cut()]]


@router.get("/reports/{pk}", response=WholeReportOut, summary="One report with its evidence", by_alias=True)
def report(request: Asked, pk: UUID) -> WholeReportOut:
    found = get_object_or_404(_mine(request), pk=pk)
    return WholeReportOut(**_told(found).model_dump(), evidence=found.evidence)


def _mine(request: Asked) -> ReportQuerySet:
    found: ReportQuerySet = (
        Report.objects.visible_to(request.auth.user).filter(team=request.auth.team).order_by("-number")
    )
    return found.prefetch_related("entries", Prefetch("approvals", Approval.objects.order_by("-asked_at")))


def _told(row: Report) -> ReportOut:
    decisions = [
        DecisionOut(
            entry=one.entry_id, decision=one.decision, why=one.why, asked_at=one.asked_at, decided_at=one.decided_at,
            reason=one.reason,
        )
        for one in row.approvals.all()
    ]  # fmt: skip
    return ReportOut(
        id=row.pk, number=row.number, title=row.title, made_at=row.made_at, sha256=row.sha256,
        entries=[entry.pk for entry in row.entries.all()], approvals=decisions,
    )  # fmt: skip

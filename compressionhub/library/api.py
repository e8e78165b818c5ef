"""Models and datasets as the API lists them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router
from pydantic import Field

from compressionhub.accounts.bearer import Caller
from compressionhub.library.models import Dataset, ModelVersion
from workers.errors import Frozen

router = Router(tags=["library"])
MOST = 100


class Asked(HttpRequest):
    """A request whose caller is known."""

    auth: Caller


class Page(Frozen):
    """Which part of a list; a page holds 100."""

    page: int = Field(default=1, ge=1, le=10_000)

    def cut(self) -> slice:
        return slice((self.page - 1) * MOST, self.page * MOST)


class VersionOut(Frozen):
    id: UUID
    model: str
    number: int
    state: str
    confirmed: bool
    sha256: str
    size_bytes: int
    created_at: datetime


class DatasetOut(Frozen):
    id: UUID
    name: str
    state: str
    sha256: str
    size_bytes: int
    created_at: datetime


@router.get("/models", response=list[VersionOut], summary="List model versions, newest first")
def models(request: Asked, page: Annotated[Page, Query()]) -> list[VersionOut]:
    found = ModelVersion.objects.visible_to(request.auth.user).filter(model__team=request.auth.team)
    rows = found.select_related("model").order_by("-created_at")[page.cut()]
    return [
        VersionOut(
            id=row.pk,
            model=row.model.name,
            number=row.number,
            state=row.state,
            confirmed=row.is_confirmed,
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            created_at=row.created_at,
        )
        for row in rows
    ]


@router.get("/datasets", response=list[DatasetOut], summary="List datasets, newest first")
def datasets(request: Asked, page: Annotated[Page, Query()]) -> list[DatasetOut]:
    found = Dataset.objects.visible_to(request.auth.user).filter(team=request.auth.team)
    rows = found.order_by("-created_at")[page.cut()]
    return [
        DatasetOut(
            id=row.pk,
            name=row.name,
            state=row.state,
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            created_at=row.created_at,
        )
        for row in rows
    ]

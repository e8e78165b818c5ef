"""The models and data a person may compose a job from."""

from __future__ import annotations

from typing import Any

from compressionhub.accounts.http import HubRequest
from compressionhub.library.models import Dataset, ModelVersion
from compressionhub.ui.ids import as_uuid


def versions(request: HubRequest) -> Any:
    mine = ModelVersion.objects.visible_to(request.user).filter(model__team=request.team).ready()
    return mine.select_related("model__team").order_by("-created_at")


def datasets(request: HubRequest) -> Any:
    mine = Dataset.objects.visible_to(request.user).filter(team=request.team).ready()
    return mine.select_related("team").order_by("-created_at")


def usual_data(request: HubRequest, version: ModelVersion | None) -> Dataset | None:
    """The data the model was tried on, else the newest."""
    found: Dataset | None = one_of(datasets(request), version.tried_on_id) if version and version.tried_on_id else None
    return found or datasets(request).first()


def one_of(rows: Any, pk: Any) -> Any:
    """The row of that id, if there is one among these."""
    key = as_uuid(str(pk))
    return rows.filter(pk=key).first() if key else None

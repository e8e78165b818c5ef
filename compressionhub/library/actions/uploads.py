"""Uploads: announced, taken into the store, thrown away."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models import Sum
from django.utils import timezone

from compressionhub.accounts.actions import audit
from compressionhub.accounts.models import Team, User
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import Invalid, WrongState
from compressionhub.library import partial
from compressionhub.library.actions.items import new_dataset, new_version, require_free_name
from compressionhub.library.models import Dataset, FileKind, ModelVersion, TrainedModel, Upload
from compressionhub.library.names import display_name, file_name, name_from, plain_text
from compressionhub.library.store import store
from compressionhub.ui.units import file_size
from workers.ticket import Blob


@transaction.atomic
def start_upload(
    *,
    team: Team,
    by: User,
    kind: FileKind,
    filename: str,
    size_bytes: int,
    name: str = "",
    model: TrainedModel | None = None,
    target: str = "",
) -> Upload:
    """Announce a file of ``size_bytes`` bytes; its content follows in chunks.

    Args:
        model: set for a new version of it; then ``name`` is not used.
        target: the column of labels, for tables.

    Raises:
        NotAllowed: if ``by`` may not upload to this team.
        Invalid: if the size is out of bounds, or the name is taken.
    """
    require(by, Verb.UPLOAD, team)
    Team.objects.select_for_update().get(
        pk=team.pk
    )  # one count at a time, so that two uploads cannot share the last room
    _require_room(team, size_bytes)
    clean = model.name if model else display_name(name) or name_from(filename)
    if model is None:
        require_free_name(team, kind, clean)
    upload = Upload.objects.create(
        team=team,
        by=by,
        kind=kind,
        name=clean,
        filename=file_name(filename),
        model=model,
        target=plain_text(target, 200),
        size_bytes=size_bytes,
        expires_at=timezone.now() + timedelta(hours=settings.UPLOAD_HOURS),
    )
    audit(by, "upload.start", upload, size_bytes=size_bytes, kind=kind)
    return upload


def _require_room(team: Team, size_bytes: int) -> None:
    if size_bytes <= 0:
        raise Invalid(
            "Expected a file with content, found an empty one.", hint="Choose another file.", code="upload.empty"
        )
    if size_bytes > settings.UPLOAD_BYTES:
        raise Invalid(
            f"Expected a file of at most {file_size(settings.UPLOAD_BYTES)}, found {file_size(size_bytes)}.",
            hint="Ask the person who runs this hub to raise HUB_UPLOAD_BYTES.",
            code="upload.too-large",
        )
    left = settings.QUOTA_BYTES - used_bytes(team)
    if size_bytes > left:
        found = f"{file_size(max(0, left))} left of {file_size(settings.QUOTA_BYTES)}"
        raise Invalid(
            f"The team has {found}; this file needs {file_size(size_bytes)}.",
            hint="Delete what is no longer needed, or ask the person who runs this hub to raise HUB_QUOTA_BYTES.",
            code="upload.over-quota",
        )


def used_bytes(team: Team) -> int:
    """What a team's models, datasets and unfinished uploads take, by their announced sizes."""
    rows: tuple[models.QuerySet[models.Model], ...] = (
        ModelVersion.objects.filter(model__team=team),
        Dataset.objects.filter(team=team),
        Upload.objects.filter(team=team, arrived_at=None),
    )
    return sum(found.aggregate(total=Sum("size_bytes"))["total"] or 0 for found in rows)


def finish_upload(*, upload: Upload) -> ModelVersion | Dataset | None:
    """Take a complete file into the store, where it waits for its verification. Doing it twice changes nothing.

    Returns:
        What it became; none if that had happened before.

    Raises:
        NotAllowed: if the uploader lost the right meanwhile.
        WrongState: if bytes are missing.
    """
    require(upload.by, Verb.UPLOAD, upload.team)
    if upload.arrived_at is not None:
        return None
    found = partial.length(upload.pk)
    if found != upload.size_bytes:
        raise WrongState(
            f"Expected {upload.size_bytes} bytes, found {found}.", hint="Resume the upload.", code="upload.incomplete"
        )
    path = partial.path_of(upload.pk)
    blob = store().adopt(path, name=upload.filename)
    try:
        return _record_arrival(upload, blob)
    except BaseException:
        back = store().path(blob.key).rename(path)  # as before, so that the sender can try again
        back.chmod(0o600)
        raise


@transaction.atomic
def _record_arrival(upload: Upload, blob: Blob) -> ModelVersion | Dataset:
    if upload.kind == FileKind.MODEL:
        item: ModelVersion | Dataset = new_version(
            team=upload.team, by=upload.by, name=upload.name, blob=blob, model=upload.model
        )
    else:
        item = new_dataset(team=upload.team, by=upload.by, name=upload.name, blob=blob, target=upload.target)
    upload.arrived_at, upload.arrived_as = timezone.now(), item.get_absolute_url()
    upload.save(update_fields=["arrived_at", "arrived_as"])
    return item


def abandon_upload(*, upload: Upload, by: User) -> None:
    """Throw an unfinished upload away."""
    _drop(upload, by)


def sweep_uploads() -> int:
    """Throw expired uploads away, and bytes without an upload. Run now and then by the hub; returns how many went."""
    expired = list(Upload.objects.expired())
    for upload in expired:
        _drop(upload, None)
    partial.sweep({key.hex for key in Upload.objects.values_list("pk", flat=True)})
    return len(expired)


@transaction.atomic
def _drop(upload: Upload, by: User | None) -> None:
    if upload.arrived_at is None:
        audit(by, "upload.abandon" if by else "upload.expire", upload)
    key = upload.pk
    upload.delete()
    transaction.on_commit(lambda: partial.discard(key))

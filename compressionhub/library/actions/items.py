"""Models and datasets: added, described, verified again, deleted."""

from __future__ import annotations

from django.db import models, transaction
from django.db.models import Max

from compressionhub.accounts.actions import audit
from compressionhub.accounts.models import Team, User
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import Invalid, WrongState
from compressionhub.library.models import Dataset, FileKind, ModelVersion, State, StoredFile, TrainedModel
from compressionhub.library.names import display_name, plain_text
from compressionhub.library.signals import file_arrived
from compressionhub.library.store import store
from workers.ticket import Blob

OWN_KEYS = "incoming/"


@transaction.atomic
def add_model(*, team: Team, by: User, name: str, blob: Blob, model: TrainedModel | None = None) -> ModelVersion:
    """Add a file that lies in the store as a model, or as the next version of one.

    Raises:
        NotAllowed: if ``by`` may not upload to this team.
    """
    require(by, Verb.UPLOAD, team)
    return new_version(team=team, by=by, name=name, blob=blob, model=model)


@transaction.atomic
def add_dataset(*, team: Team, by: User, name: str, blob: Blob, target: str = "") -> Dataset:
    """Add a file that lies in the store as a dataset.

    Raises:
        NotAllowed: if ``by`` may not upload to this team.
    """
    require(by, Verb.UPLOAD, team)
    return new_dataset(team=team, by=by, name=name, blob=blob, target=target)


def new_version(*, team: Team, by: User, name: str, blob: Blob, model: TrainedModel | None) -> ModelVersion:
    """Write the row and announce the file; the caller has checked the right to and holds a transaction."""
    if model is None:
        model = TrainedModel.objects.create(
            team=team, name=_free_name(TrainedModel.objects.filter(team=team), name), created_by=by
        )
    else:
        model = TrainedModel.objects.select_for_update().get(pk=model.pk)
    last = model.versions.aggregate(last=Max("number"))["last"] or 0
    version = ModelVersion.objects.create(model=model, number=last + 1, uploaded_by=by, **_file(blob))
    _announce(version, by)
    return version


def new_dataset(*, team: Team, by: User, name: str, blob: Blob, target: str) -> Dataset:
    """Write the row and announce the file; the caller has checked the right to and holds a transaction."""
    free = _free_name(Dataset.objects.filter(team=team), name)
    dataset = Dataset.objects.create(team=team, name=free, target=target, uploaded_by=by, **_file(blob))
    _announce(dataset, by)
    return dataset


def _file(blob: Blob) -> dict[str, str | int]:
    return {"filename": blob.name, "store_key": blob.key, "sha256": blob.sha256, "size_bytes": blob.size_bytes}


def _free_name(taken: models.QuerySet[models.Model], name: str) -> str:
    clean = display_name(name, otherwise="untitled")[:110]
    names = set(taken.filter(name__startswith=clean).values_list("name", flat=True))
    return next(free for free in (clean, *(f"{clean} ({n})" for n in range(2, len(names) + 3))) if free not in names)


def _announce(item: ModelVersion | Dataset, by: User) -> None:
    verb = "model.upload" if isinstance(item, ModelVersion) else "dataset.upload"
    audit(by, verb, item, item.team, file=item.filename, size_bytes=item.size_bytes)
    transaction.on_commit(lambda: file_arrived.send(sender=type(item), instance=item))


@transaction.atomic
def describe(*, item: TrainedModel | Dataset, by: User, name: str, description: str) -> None:
    """Give a model or dataset another name or description.

    Raises:
        NotAllowed: if ``by`` may not edit the library.
        Invalid: if the name is empty or taken.
    """
    require(by, Verb.EDIT_LIBRARY, item.team)
    clean = display_name(name)
    if not clean:
        raise Invalid("Expected a name, found none.", hint="Type one.")
    if clean != item.name:
        require_free_name(item.team, FileKind.MODEL if isinstance(item, TrainedModel) else FileKind.DATASET, clean)
    before, item.name, item.description = item.name, clean, plain_text(description, 2000)
    item.save(update_fields=["name", "description"])
    audit(by, "library.describe", item, before=before)


@transaction.atomic
def choose_target(*, dataset: Dataset, by: User, target: str) -> Dataset:
    """Say which column of a table holds the labels; the file is verified again with it.

    Raises:
        NotAllowed: if ``by`` may not edit the library.
        Invalid: if the table has no such column.
    """
    require(by, Verb.EDIT_LIBRARY, dataset.team)
    facts = dataset.facts
    if facts is not None and facts.columns and target not in facts.columns:
        raise Invalid(
            f"Expected one of the table's columns, found {target!r}.",
            hint=f"Its columns: {', '.join(facts.columns[:20])}.",
        )
    dataset.target = plain_text(target, 200)
    _verify_again(dataset, by, "dataset.choose-target", column=target)
    return dataset


@transaction.atomic
def verify_again(*, item: ModelVersion | Dataset, by: User) -> None:
    """Have a refused file looked at once more, for example after the hub learnt to read it.

    Raises:
        NotAllowed: if ``by`` may not edit the library.
        WrongState: if it is not refused.
    """
    require(by, Verb.EDIT_LIBRARY, item.team)
    if not item.is_rejected:
        raise WrongState(
            f"{item} is {item.get_state_display().lower()}.", hint="Only refused files are looked at again."
        )
    _verify_again(item, by, "library.verify-again")


def _verify_again(item: ModelVersion | Dataset, by: User, verb: str, **detail: str) -> None:
    item.state, item.problem = State.VERIFYING, None
    item.save()
    audit(by, verb, item, item.team, **detail)
    transaction.on_commit(lambda: file_arrived.send(sender=type(item), instance=item))


def require_free_name(team: Team, kind: FileKind, name: str) -> None:
    """Raise ``Invalid`` if the team has a model, or a dataset, of this name."""
    owned = TrainedModel.objects if kind == FileKind.MODEL else Dataset.objects
    if owned.filter(team=team, name=name).exists():
        what = "new version on its page" if kind == FileKind.MODEL else "dataset under another name"
        raise Invalid(
            f"There is already a {kind} called {name}.",
            hint=f"Type another name, or upload a {what}.",
            code="name.taken",
        )


def delete(*, item: TrainedModel | ModelVersion | Dataset, by: User) -> None:
    """Delete a model with its versions, one version, or a dataset.

    Raises:
        NotAllowed: if ``by`` is no owner.
        WrongState: if jobs, entries or deployments rest on it.
    """
    require(by, Verb.DELETE, item.team)
    files: list[StoredFile] = list(item.versions.all()) if isinstance(item, TrainedModel) else [item]
    try:
        _delete(item, by, [key for file in files for key in _keys(file)])
    except models.ProtectedError:
        raise WrongState(
            f"Jobs, published entries or deployments rest on {item}.",
            hint="It stays, so that their numbers can be traced.",
        ) from None


def _keys(file: StoredFile) -> list[str]:
    """Where a file lies, and where its upload lies, if that came in another form."""
    original = file.original if isinstance(file, ModelVersion) else None
    return [file.store_key, *([original.key] if original else [])]


@transaction.atomic
def _delete(item: TrainedModel | ModelVersion | Dataset, by: User, keys: list[str]) -> None:
    audit(by, "library.delete", item, item.team)
    item.delete()
    transaction.on_commit(lambda: _forget(keys))


def _forget(keys: list[str]) -> None:
    """Remove the stored files of deleted rows.

    Only uploads have a key of their own. A key made from the content may be shared with an artifact or an
    entry's bundle, which the library does not know of, so such a file stays.
    """
    for key in keys:
        if key.startswith(OWN_KEYS):
            store().delete(key)

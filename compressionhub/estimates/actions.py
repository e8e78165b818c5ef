"""What can be done with workloads: check, write, audit."""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.utils import timezone

from compressionhub.accounts.actions import audit
from compressionhub.accounts.models import Team, User
from compressionhub.accounts.permissions import Verb, require
from compressionhub.errors import Invalid
from compressionhub.estimates import tables
from compressionhub.estimates.assumptions import Assumptions, signed
from compressionhub.estimates.models import TableSet, Workload
from compressionhub.library.names import display_name
from workers.serving.newer_tables import newer
from workers.serving.table_rows import Kind
from workers.serving.tables import tables as packaged


@transaction.atomic
def create(*, team: Team, by: User, assumed: Assumptions) -> Workload:
    """Keep a workload under its name. The first of a team is its usual one.

    Raises:
        NotAllowed: if ``by`` may not edit workloads of this team.
        Invalid: if the name is empty or taken.
    """
    require(by, Verb.EDIT_WORKLOAD, team)
    assumed = assumed.model_copy(update={"tables": _newest(team)})
    made = Workload(
        team=team,
        name=_name(assumed),
        created_by=by,
        is_usual=not Workload.objects.filter(team=team, is_usual=True).exists(),
        assumed_json=assumed.model_dump(mode="json"),
    )
    _save(made)
    audit(by, "workload.create", made)
    return made


@transaction.atomic
def change(*, workload: Workload, by: User, assumed: Assumptions) -> Workload:
    """Replace the assumptions; ``by`` becomes the author of those that differ.

    Raises:
        NotAllowed: if ``by`` may not edit workloads of this team.
        Invalid: if the name is empty or taken.
    """
    require(by, Verb.EDIT_WORKLOAD, workload.team)
    workload = Workload.objects.select_for_update().get(pk=workload.pk)
    before = workload.assumed
    workload.name = _name(assumed)
    workload.assumed_json = signed(assumed, before, by=str(by)).model_dump(mode="json")
    _save(workload)
    audit(by, "workload.change", workload, changed=list(assumed.differing(before)))
    return workload


@transaction.atomic
def move_to_newest_tables(*, workload: Workload, by: User) -> Workload:
    """Make this workload's figures with the newest tables of its team from now on.

    Raises:
        NotAllowed: if ``by`` may not edit workloads of this team.
    """
    require(by, Verb.EDIT_WORKLOAD, workload.team)
    workload = Workload.objects.select_for_update().get(pk=workload.pk)
    before, wanted = workload.assumed, _newest(workload.team)
    workload.assumed_json = before.model_copy(update={"tables": wanted}).model_dump(mode="json")
    _save(workload)
    audit(by, "workload.move-tables", workload, before=before.tables, after=wanted)
    return workload


@transaction.atomic
def upload_table(*, team: Team, by: User, kind: Kind, content: bytes) -> TableSet:
    """Keep a newer table: figures of workloads made afterwards use it, older ones keep theirs.

    Raises:
        NotAllowed: if ``by`` may not set prices for this team.
        YoursToFix: if the file is no such table, naming the line, or changes nothing.
    """
    require(by, Verb.SET_PRICES, team)
    Team.objects.select_for_update().get(pk=team.pk)
    made, told = newer(tables.newest(team), kind, content, today=timezone.localdate())
    last = TableSet.objects.filter(team=team).values_list("number", flat=True).first() or 0
    kept = TableSet(
        team=team, number=last + 1, version=made.version, texts=dict(made.texts), changed=kind, said=told.sentence,
        uploaded_by=by,
    )  # fmt: skip
    kept.save()
    audit(by, "tables.upload", kept, kind=kind, version=made.version, changed=told.sentence)
    return kept


def _newest(team: Team) -> str:
    found = tables.newest(team).version
    return tables.keep_packaged() if found == packaged().version else found


@transaction.atomic
def make_usual(*, workload: Workload, by: User) -> None:
    """Show entries with this workload from now on.

    Raises:
        NotAllowed: if ``by`` may not edit workloads of this team.
    """
    require(by, Verb.EDIT_WORKLOAD, workload.team)
    Workload.objects.filter(team=workload.team, is_usual=True).update(is_usual=False)
    Workload.objects.filter(pk=workload.pk).update(is_usual=True)
    audit(by, "workload.make-usual", workload)


@transaction.atomic
def delete(*, workload: Workload, by: User) -> None:
    """Forget a workload. Another one becomes the usual one where it was that.

    Raises:
        NotAllowed: if ``by`` may not edit workloads of this team.
    """
    require(by, Verb.EDIT_WORKLOAD, workload.team)
    audit(by, "workload.delete", workload)
    team, was_usual = workload.team, workload.is_usual
    workload.delete()
    following = Workload.objects.filter(team=team).order_by("created_at").first()
    if was_usual and following is not None:
        Workload.objects.filter(pk=following.pk).update(is_usual=True)


def _name(assumed: Assumptions) -> str:
    name = display_name(assumed.workload.name)
    if not name:
        raise Invalid("A workload needs a name.", hint="Say what it serves, such as Checkout cameras.")
    return name


def _save(workload: Workload) -> None:
    try:
        with transaction.atomic():
            workload.save()
    except IntegrityError:
        raise Invalid(
            f"This team has a workload called {workload.name} already.", hint="Choose another name.",
            code="workload.name-taken",
        ) from None  # fmt: skip

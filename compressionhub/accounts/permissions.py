"""Who may do what: one table from role to verbs, and the two questions asked of it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from django.db import models

from compressionhub.errors import NotAllowed

if TYPE_CHECKING:
    from compressionhub.accounts.models import Team, User


class Role(models.TextChoices):
    """What a person is on a team, from the least to the most. Each may do all that those before it may."""

    VIEWER = "viewer", "Viewer"
    ENGINEER = "engineer", "Engineer"
    ADMIN = "admin", "Admin"
    OWNER = "owner", "Owner"

    @property
    def rank(self) -> int:
        """0 for a viewer, 3 for an owner."""
        return list(Role).index(self)

    @property
    def with_article(self) -> str:
        """``a viewer``, ``an owner``."""
        return f"{'an' if self.label[0] in 'AEO' else 'a'} {self.label.lower()}"

    @property
    def says(self) -> str:
        """What the role may do, for the form that gives it."""
        return ROLE_SAYS[self]


class Verb(StrEnum):
    """Everything that is asked permission for."""

    READ = "read"
    COMPARE = "compare"
    EDIT_WORKLOAD = "edit workloads"
    REPORT = "make reports"
    ASK_FOR_APPROVAL = "ask for approval"

    UPLOAD = "upload"
    EDIT_LIBRARY = "edit models and datasets"
    SUBMIT_JOB = "submit jobs"
    CANCEL_JOB = "cancel jobs"
    DOWNLOAD = "download artifacts"
    RECORD_DEPLOYMENT = "record deployments"

    PUBLISH = "publish"
    APPROVE = "approve"
    SHARE = "share links"
    SET_PRICES = "set prices"
    MANAGE_MEMBERS = "manage members"
    READ_AUDIT = "read the audit trail"

    CHANGE_ROLES = "change roles"
    DELETE = "delete"


ROLE_SAYS = {
    Role.VIEWER: "reads, compares, makes reports and asks for approval",
    Role.ENGINEER: "also uploads, submits and cancels jobs, and downloads artifacts",
    Role.ADMIN: "also publishes, approves, shares reports, and adds or removes people",
    Role.OWNER: "also changes roles and deletes",
}

_ADDED = {
    Role.VIEWER: {Verb.READ, Verb.COMPARE, Verb.EDIT_WORKLOAD, Verb.REPORT, Verb.ASK_FOR_APPROVAL},
    Role.ENGINEER: {
        Verb.UPLOAD,
        Verb.EDIT_LIBRARY,
        Verb.SUBMIT_JOB,
        Verb.CANCEL_JOB,
        Verb.DOWNLOAD,
        Verb.RECORD_DEPLOYMENT,
    },
    Role.ADMIN: {Verb.PUBLISH, Verb.APPROVE, Verb.SHARE, Verb.SET_PRICES, Verb.MANAGE_MEMBERS, Verb.READ_AUDIT},
    Role.OWNER: {Verb.CHANGE_ROLES, Verb.DELETE},
}

MAY: dict[Role, frozenset[Verb]] = {
    role: frozenset(verb for below in Role if below.rank <= role.rank for verb in _ADDED[below]) for role in Role
}


def role_of(user: User | AnonymousUser | None, team: Team | None) -> Role | None:
    """The role a person has on a team; none for strangers, for nobody and for a retired account."""
    if user is None or team is None or isinstance(user, AnonymousUser) or not user.is_active:
        return None
    found = user.memberships.filter(team=team).values_list("role", flat=True).first()
    return Role(found) if found else None


def may(user: User | AnonymousUser | None, verb: Verb, team: Team | None) -> bool:
    """Whether a person may do this on this team."""
    role = role_of(user, team)
    return role is not None and verb in MAY[role]


def least_role_for(verb: Verb) -> Role:
    """The lowest role that may do this."""
    return next(role for role in Role if verb in MAY[role])


def require(by: User | AnonymousUser | None, verb: Verb, team: Team | None) -> None:
    """Go on only if this person may do this on this team.

    Raises:
        NotAllowed: if not, naming the role that may.
    """
    if may(by, verb, team):
        return
    role = role_of(by, team)
    needed = least_role_for(verb)
    found = f"you are {role.with_article}" if role else "you are not on this team"
    raise NotAllowed(
        f"To {verb}, the role {needed.label.lower()} is needed; {found}.",
        hint="Ask an owner of the team to change your role." if role else "Ask an admin of the team to add you.",
    )

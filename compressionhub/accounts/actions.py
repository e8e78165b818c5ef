"""What can be done with people, teams and tokens: check, write, audit."""

import json
import secrets
from datetime import datetime
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction
from django.utils import timezone
from django.utils.text import slugify

from compressionhub.accounts import tokens
from compressionhub.accounts.models import ApiToken, AuditEntry, Membership, Scope, Team, User
from compressionhub.accounts.permissions import Role, Verb, require, role_of
from compressionhub.errors import Invalid, NotAllowed, WrongState
from workers.events import without_nul

# Without the letters and digits that are mistaken for each other when read aloud or copied by hand.
PASSWORD_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def audit(by: User | None, verb: str, target: models.Model, team: Team | None = None, **detail: Any) -> AuditEntry:
    """Write one line of the trail. ``by`` is none where the hub itself acts; ``team`` defaults to the target's."""
    return AuditEntry.objects.create(
        by=by,
        by_name=by.get_full_name() if by else "CompressionHub",
        team=team or _team_of(target),
        verb=verb,
        target_kind=target._meta.label,
        target_id=str(target.pk),
        target_name=str(target)[:200],
        detail=json.loads(without_nul(json.dumps(detail, cls=DjangoJSONEncoder))),
    )


def _team_of(target: models.Model) -> Team | None:
    found = target if isinstance(target, Team) else getattr(target, "team", None)
    return found if isinstance(found, Team) else None


@transaction.atomic
def create_team(*, name: str, owner: User, by: User | None) -> Team:
    """Found a team with its first owner.

    Args:
        name: what people call it.
        owner: its first member.
        by: a superuser, or none where the hub itself acts.

    Raises:
        NotAllowed: if ``by`` is somebody else.
        Invalid: if the name is empty.
    """
    if by is not None and not by.is_superuser:
        raise NotAllowed("Only the person who runs this hub may found teams.", hint="Ask them.")
    clean = _named(name, "team")
    team = Team.objects.create(name=clean, slug=_free_slug(clean))
    Membership.objects.create(team=team, user=owner, role=Role.OWNER)
    audit(by, "team.create", team, owner=str(owner))
    return team


def _free_slug(name: str) -> str:
    base = slugify(name)[:80] or "team"
    taken = set(Team.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    return next(slug for slug in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if slug not in taken)


@transaction.atomic
def add_member(
    *, team: Team, role: Role, by: User, username: str = "", full_name: str = "", email: str = ""
) -> tuple[Membership, str | None]:
    """Add a person to a team, making an account where there is none of that name or address.

    Returns:
        The membership, and the first password of a new account: it is kept nowhere else.

    Raises:
        NotAllowed: if ``by`` may not manage members, or gives a role above their own.
        Invalid: if the name or address is not usable.
        WrongState: if the person is on the team already.
    """
    require(by, Verb.MANAGE_MEMBERS, team)
    _require_not_above(by, team, role)
    user = _known(username, email)
    password = None
    if user is None:
        user, password = _new_user(username=username, full_name=full_name, email=email)
    elif user.memberships.filter(team=team).exists():
        raise WrongState(f"{user} is on {team} already.", hint="Change their role in the list instead.")
    member = Membership.objects.create(team=team, user=user, role=role)
    audit(by, "member.add", user, team, role=role)
    return member, password


def _known(username: str, email: str) -> User | None:
    by_email = User.objects.filter(email__iexact=email).first() if email else None
    by_name = User.objects.filter(username__iexact=username).first() if username else None
    if by_email and by_name and by_email != by_name:
        raise Invalid(
            f"The user name {username} and the address {email} belong to two people.", hint="Give one of the two."
        )
    return by_email or by_name


def _new_user(*, username: str, full_name: str, email: str) -> tuple[User, str]:
    user = User(
        username=username or _free_username(email), full_name=full_name.strip(), email=email, has_first_password=True
    )
    password = _random_password()
    user.set_password(password)
    try:
        user.full_clean()
    except ValidationError as error:
        raise Invalid(_first_message(error), hint="Correct it and try again.") from None
    user.save()
    return user, password


def _free_username(email: str) -> str:
    base = "".join(letter for letter in email.split("@")[0] if letter.isalnum() or letter in ".+-_")[:50] or "person"
    taken = {
        name.lower() for name in User.objects.filter(username__istartswith=base).values_list("username", flat=True)
    }
    return next(name for name in (base, *(f"{base}{n}" for n in range(2, len(taken) + 3))) if name.lower() not in taken)


def _random_password() -> str:
    """Sixteen letters in four groups, about 79 random bits."""
    return "-".join("".join(secrets.choice(PASSWORD_LETTERS) for _ in range(4)) for _ in range(4))


def _first_message(error: ValidationError) -> str:
    if not hasattr(error, "message_dict"):
        return str(error.messages[0])
    field, messages = next(iter(error.message_dict.items()))
    return str(messages[0]) if field == "__all__" else f"{field.replace('_', ' ').capitalize()}: {messages[0]}"


def _require_not_above(by: User, team: Team, role: str) -> None:
    own = role_of(by, team)
    if own is None or Role(role).rank > own.rank:
        raise NotAllowed(
            f"To handle the role {Role(role).label.lower()}, at least the same role is needed.",
            hint="Ask an owner of the team.",
        )


@transaction.atomic
def change_role(*, membership: Membership, role: Role, by: User) -> Membership:
    """Give a member another role.

    Raises:
        NotAllowed: if ``by`` is no owner.
        WrongState: if the team would be left without an owner.
    """
    require(by, Verb.CHANGE_ROLES, membership.team)
    membership = _locked(membership)
    if membership.role == Role.OWNER and role != Role.OWNER:
        _require_another_owner(membership)
    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    audit(by, "member.change-role", membership.user, membership.team, before=before, after=role)
    return membership


@transaction.atomic
def remove_member(*, membership: Membership, by: User) -> None:
    """Take a person off a team; their tokens for it stop working at once.

    Raises:
        NotAllowed: if ``by`` may not manage members, or the member's role is above theirs.
        WrongState: if they are the last owner.
    """
    require(by, Verb.MANAGE_MEMBERS, membership.team)
    membership = _locked(membership)
    _require_not_above(by, membership.team, membership.role)
    if membership.role == Role.OWNER:
        _require_another_owner(membership)
    membership.user.tokens.filter(team=membership.team, revoked_at=None).update(revoked_at=timezone.now())
    audit(by, "member.remove", membership.user, membership.team, role=membership.role)
    membership.delete()


def _locked(membership: Membership) -> Membership:
    """The membership with every membership of its team locked, so that two owners cannot demote each other at once."""
    rows = (
        Membership.objects.select_for_update(of=("self",)).filter(team=membership.team).select_related("team", "user")
    )
    found = next((row for row in rows if row.pk == membership.pk), None)
    if found is None:
        raise WrongState("This person is no longer on the team.", hint="Reload the page.")
    return found


def _require_another_owner(membership: Membership) -> None:
    if not Membership.objects.filter(team=membership.team, role=Role.OWNER).exclude(pk=membership.pk).exists():
        raise WrongState(
            f"{membership.user} is the last owner of {membership.team}.", hint="Make somebody else an owner first."
        )


@transaction.atomic
def reset_password(*, membership: Membership, by: User) -> str:
    """Make a new first password for a member who lost theirs; shown once.

    Raises:
        NotAllowed: if ``by`` may not manage members, the member's role is above theirs, or the person
            is on other teams too (an admin of one team must not gain the account's rights on another).
    """
    require(by, Verb.MANAGE_MEMBERS, membership.team)
    _require_not_above(by, membership.team, membership.role)
    user = membership.user
    if (user.is_superuser and user != by) or user.memberships.exclude(team=membership.team).exists():
        raise NotAllowed(f"{user} belongs to more than this team.", hint="Ask the person who runs this hub.")
    password = _random_password()
    user.set_password(password)
    user.has_first_password = True
    user.save(update_fields=["password", "has_first_password"])
    audit(by, "member.reset-password", user, membership.team)
    return password


@transaction.atomic
def set_password(*, user: User, old: str, new: str) -> None:
    """Change one's own password.

    Raises:
        Invalid: if the old one does not match or the new one is too weak.
    """
    if not user.check_password(old):
        raise Invalid("The current password does not match.", hint="Type the password you signed in with.")
    try:
        validate_password(new, user)
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), hint="Choose a longer or less common password.") from None
    user.set_password(new)
    user.has_first_password = False
    user.save(update_fields=["password", "has_first_password"])
    audit(user, "account.set-password", user)


@transaction.atomic
def rename(*, user: User, full_name: str, email: str) -> User:
    """Change one's own name and address.

    Raises:
        Invalid: if the address is malformed or somebody else's.
    """
    user.full_name, user.email = full_name.strip(), email.strip()
    try:
        user.full_clean()
    except ValidationError as error:
        raise Invalid(_first_message(error), hint="Correct it and try again.") from None
    user.save(update_fields=["full_name", "email"])
    audit(user, "account.rename", user)
    return user


@transaction.atomic
def create_token(
    *, user: User, team: Team, name: str, scope: Scope = Scope.READ, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make a key to the API for oneself.

    Returns:
        The token, and its secret: it is shown once and kept nowhere.

    Raises:
        NotAllowed: if the person is not on the team.
        Invalid: if the name is empty.
    """
    require(user, Verb.READ, team)
    secret = tokens.new_secret()
    token = ApiToken.objects.create(
        user=user,
        team=team,
        name=_named(name, "token"),
        scope=Scope(scope),
        expires_at=expires_at,
        prefix=secret[:9],
        digest=tokens.digest(secret),
    )
    audit(user, "token.create", token, team, scope=token.scope)
    return token, secret


@transaction.atomic
def revoke_token(*, token: ApiToken, by: User) -> ApiToken:
    """Make a token useless: one's own, or as an admin anybody's on the team. Doing it twice changes nothing.

    Raises:
        NotAllowed: if it is somebody else's and ``by`` may not manage members.
    """
    if token.user != by:
        require(by, Verb.MANAGE_MEMBERS, token.team)
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        audit(by, "token.revoke", token, token.team, of=str(token.user))
    return token


def _named(name: str, kind: str) -> str:
    clean = " ".join(name.split())[:80]
    if not clean:
        raise Invalid(f"Expected a name for the {kind}, found none.", hint="Type one.")
    return clean


@transaction.atomic
def first_start(*, team_name: str = "Sample team") -> tuple[str, str] | None:
    """Make the first person and their team on a hub that has nobody yet.

    Returns:
        User name and a random password, to be printed once; none if there is anybody already.
    """
    if User.objects.exists():
        return None
    password = _random_password()
    admin = User(username="admin", full_name="Admin", is_superuser=True, is_staff=True, has_first_password=True)
    admin.set_password(password)
    admin.save()
    create_team(name=team_name, owner=admin, by=None)
    return admin.username, password


@transaction.atomic
def allow_sharing(*, team: Team, by: User, allowed: bool) -> None:
    """Let links to reports of this team open, or let none open. Those that exist are kept for another day.

    Raises:
        NotAllowed: if ``by`` may not share for this team.
    """
    require(by, Verb.SHARE, team)
    team.shares_reports = allowed
    team.save(update_fields=["shares_reports"])
    audit(by, "team.share-links", team, allowed=allowed)

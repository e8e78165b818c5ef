"""People, teams, tokens, and the trail of what was done."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.core.serializers.json import DjangoJSONEncoder
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone

from compressionhub.accounts.permissions import MAY, Role, Verb

# No @ in a user name: a name that looks like somebody's e-mail address would make sign-in ambiguous.
USERNAME_RULE = RegexValidator(r"^[\w.+-]+\Z", "Use letters, digits and . + - _ only.")


class User(AbstractUser):
    """A person. Signs in by user name or e-mail address."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = models.CharField("user name", max_length=60, unique=True, validators=[USERNAME_RULE])
    full_name = models.CharField(max_length=120, blank=True)
    email = models.EmailField("e-mail", blank=True)
    has_first_password = models.BooleanField(
        default=False, help_text="The password was made by the hub and not changed since."
    )
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]

    objects: ClassVar = UserManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("username"), name="user_name_in_any_case"),
            models.UniqueConstraint(Lower("email"), condition=~models.Q(email=""), name="user_email_in_any_case"),
        ]

    def __str__(self) -> str:
        return self.get_full_name()

    def get_full_name(self) -> str:
        return self.full_name or self.username

    def get_short_name(self) -> str:
        return self.get_full_name().split(" ")[0]

    @property
    def initials(self) -> str:
        """One or two letters for the round mark beside the name."""
        words = self.get_full_name().split()
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


class TeamQuerySet(models.QuerySet["Team"]):
    def visible_to(self, user: Any) -> TeamQuerySet:
        """The teams this person is on."""
        return self.filter(memberships__user=user) if user.is_authenticated else self.none()


class Team(models.Model):
    """A tenant: it owns models, datasets, jobs and entries."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=90, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    shares_reports = models.BooleanField(
        default=True, help_text="Admins may make links that show one report to people without an account."
    )

    objects = TeamQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("accounts:team")


class Membership(models.Model):
    """A person's role on a team."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    added_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["added_at"]
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="one_role_per_person_and_team")]

    def __str__(self) -> str:
        return f"{self.user} on {self.team}: {self.role}"

    @property
    def rank(self) -> int:
        return Role(self.role).rank


class Scope(models.TextChoices):
    """What a token may be used for. Its owner's role limits it further."""

    READ = "read", "Read"
    WRITE = "write", "Read, submit and download"


class TokenQuerySet(models.QuerySet["ApiToken"]):
    def usable(self) -> TokenQuerySet:
        """Those that are neither revoked nor expired now."""
        return self.filter(models.Q(expires_at=None) | models.Q(expires_at__gt=timezone.now()), revoked_at=None)


class ApiToken(models.Model):
    """A key to the API. Only its hash is kept; ``prefix`` helps its owner to recognise it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=80)
    scope = models.CharField(max_length=10, choices=Scope.choices, default=Scope.READ)
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and not self.is_expired


class AppendOnly(Exception):
    """Somebody tried to change or remove a line of the audit trail."""

    def __init__(self) -> None:
        super().__init__("The audit trail only grows: its lines are never changed or removed.")


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    def visible_to(self, user: Any) -> AuditQuerySet:
        """The trail of the teams where this person may read it."""
        readers = [role for role in Role if Verb.READ_AUDIT in MAY[role]]
        if not user.is_authenticated:
            return self.none()
        return self.filter(team__in=Membership.objects.filter(user=user, role__in=readers).values("team"))

    def update(self, **values: Any) -> int:
        raise AppendOnly

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnly

    def bulk_update(self, *args: Any, **kwargs: Any) -> int:
        raise AppendOnly


class AuditEntry(models.Model):
    """One thing somebody did. People and teams are kept by id and name, so that it outlives them."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(default=timezone.now, editable=False)
    team = models.ForeignKey(Team, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    by = models.ForeignKey(User, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    by_name = models.CharField(max_length=120)
    verb = models.CharField(max_length=60)
    target_kind = models.CharField(max_length=60)
    target_id = models.CharField(max_length=64)
    target_name = models.CharField(max_length=200)
    detail = models.JSONField(default=dict, encoder=DjangoJSONEncoder)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-at"]
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["team", "-at"], name="audit_by_team_and_time")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.by_name} {self.verb} {self.target_name}"

    @property
    def said(self) -> str:
        """The details in one line, each value cut short, numbers to four digits."""
        written = {key: f"{one:.4g}" if isinstance(one, float) else str(one)[:80] for key, one in self.detail.items()}
        return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in written.items())

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly
        super().save(*args, force_insert=True, **{name: value for name, value in kwargs.items() if name == "using"})

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnly

"""API tokens: made once, kept as a hash, found again by it."""

import hashlib
import secrets
from datetime import timedelta

from django.utils import timezone

from compressionhub.accounts.models import ApiToken, Scope

MARK = "chub_"
USED_EVERY = timedelta(minutes=1)


def new_secret() -> str:
    """A token with 256 random bits; its mark lets secret scanners recognise it."""
    return MARK + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of a token. A fast hash is enough: nobody guesses 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def find(secret: str) -> ApiToken | None:
    """The token behind a secret, noting its use; none if unknown, revoked, expired or its owner left the team."""
    if not secret.startswith(MARK):
        return None
    token = ApiToken.objects.select_related("user", "team").filter(digest=digest(secret)).first()
    if token is None or not token.is_usable or not token.user.is_active:
        return None
    if not token.user.memberships.filter(team=token.team_id).exists():
        return None
    _note_use(token)
    return token


def allows(token: ApiToken, scope: Scope) -> bool:
    """Whether a token may be used for something: a writing one also reads."""
    return scope == Scope.READ or token.scope == Scope.WRITE


def _note_use(token: ApiToken) -> None:
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > USED_EVERY:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        token.last_used_at = now

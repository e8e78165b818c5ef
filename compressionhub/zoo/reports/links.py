"""Tokens of share links: made once, kept as a hash, guessed at most ten times a quarter of an hour."""

from __future__ import annotations

from axes.handlers.proxy import AxesProxyHandler
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from compressionhub.accounts import tokens
from compressionhub.zoo.reports.models import ShareLink

MARK = "chub_share_"
# Guesses are counted where wrong passwords are, under a name that no person can have.
GUESSER = {"username": "a share link"}


def new_token() -> str:
    """256 random bits; its mark lets scanners and our own log recognise it."""
    return tokens.new_secret().replace(tokens.MARK, MARK, 1)


def digest(token: str) -> str:
    """What is kept of a token."""
    return tokens.digest(token)


def opened(token: str, *, download: bool = False) -> ShareLink | None:
    """The link behind a token, counting its use; none if it is unknown, expired, revoked or switched off."""
    link = ShareLink.objects.usable().select_related("report__team").filter(digest=digest(token)).first()
    if link is None:
        return None
    counted = "downloads" if download else "openings"
    ShareLink.objects.filter(pk=link.pk).update(**{counted: F(counted) + 1, "last_opened_at": timezone.now()})
    return link


def may_try(request: HttpRequest) -> bool:
    """Whether this address has tries left."""
    return bool(AxesProxyHandler.is_allowed(request, GUESSER))


def note_miss(request: HttpRequest) -> None:
    """Count a token that opened nothing. The counter keeps the address of the caller, never the token."""
    AxesProxyHandler.update_request(request)
    request.axes_path_info = "/shared/"  # type: ignore[attr-defined]
    AxesProxyHandler.user_login_failed(sender="share link", credentials=GUESSER, request=request)
    request.axes_locked_out = False  # type: ignore[attr-defined] # else its middleware would answer with the sign-in's page

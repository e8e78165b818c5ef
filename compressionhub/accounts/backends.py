"""Signing in by user name or by e-mail address."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.db.models import Q
from django.http import HttpRequest

from compressionhub.accounts.models import User


def find(text: str) -> User | None:
    """The person of this user name or address, in any case of letters."""
    return User.objects.filter(Q(username__iexact=text) | Q(email__iexact=text)).first() if text else None


def name_tried(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """Under which name wrong passwords are counted: one per person, else every way to spell it gave new tries."""
    text = str((credentials or {}).get("username") or request.POST.get("username", ""))
    user = find(text)
    return (user.username if user else text).lower()[:255]


class NameOrEmailBackend(ModelBackend):
    """Takes either, in any case of letters. A user name holds no @, so one text never means two people."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        if not username or password is None:
            return None
        user = find(username)
        if user is None:
            User().set_password(password)  # the same work as for a known name, so that time does not tell which exist
            return None
        return user if user.check_password(password) and self.user_can_authenticate(user) else None

"""Who calls the API: a token from the account page, or the session of a signed-in person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja.security import APIKeyCookie, HttpBearer

from compressionhub.accounts import tokens
from compressionhub.accounts.models import ApiToken, Scope, Team, User
from compressionhub.errors import NotAllowed


@dataclass(frozen=True)
class Caller:
    """A person, the team they act for, and what their way in allows."""

    user: User
    team: Team
    scope: Scope
    token: ApiToken | None = None

    def require(self, scope: Scope) -> None:
        """Go on only if the token may be used for this.

        Raises:
            NotAllowed: if it only reads.
        """
        if scope == Scope.WRITE and self.scope != Scope.WRITE:
            raise NotAllowed(
                "This token only reads.",
                hint="Make one on the account page that may submit and download.",
                code="token.scope",
            )


class Bearer(HttpBearer):
    """``Authorization: Bearer chub_…``; a token acts for one team."""

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        found = tokens.find(token)
        return Caller(found.user, found.team, Scope(found.scope), found) if found else None


class Session(APIKeyCookie):
    """The browser's session, for our own pages; changes need the CSRF token."""

    param_name = "hub_session"

    def authenticate(self, request: HttpRequest, key: str | None) -> Any:
        team = getattr(request, "team", None)
        user: Any = request.user
        return Caller(user, team, Scope.WRITE) if user.is_authenticated and team else None


class AsyncBearer(Bearer):
    """For operations that are coroutines."""

    async def authenticate(self, request: HttpRequest, token: str) -> Any:
        return await sync_to_async(super().authenticate)(request, token)


class AsyncSession(Session):
    """For operations that are coroutines."""

    async def authenticate(self, request: HttpRequest, key: str | None) -> Any:
        return await sync_to_async(super().authenticate)(request, key)

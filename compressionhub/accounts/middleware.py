"""Finds out on which team a request works."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from compressionhub.accounts.models import Membership

SESSION_KEY = "team"


class TeamMiddleware:
    """Sets ``request.team`` and ``request.membership``: the team chosen in this session, else the first one.

    Both are ``None`` for nobody and for somebody without a team. Needs the session and the user.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        request.membership = membership_for(request)
        request.team = request.membership.team if request.membership else None
        return self.get_response(request)


def membership_for(request: Any) -> Membership | None:
    """The membership a request works under."""
    if not request.user.is_authenticated:
        return None
    chosen = request.session.get(SESSION_KEY)
    mine = list(Membership.objects.filter(user=request.user).select_related("team"))
    return next((one for one in mine if str(one.team_id) == chosen), mine[0] if mine else None)

"""The request as views see it: somebody signed in, on a team."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from compressionhub.accounts.models import Membership, Team, User

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

P = ParamSpec("P")


class HubRequest(HttpRequest):
    """A request of a signed-in person. ``team`` and ``membership`` are set by ``TeamMiddleware``."""

    user: User
    team: Team
    membership: Membership
    htmx: HtmxDetails


def team_required(view: Callable[Concatenate[HubRequest, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a view run only for somebody who is signed in and on a team."""

    @wraps(view)
    def guarded(request: HubRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if request.team is None:
            return render(request, "accounts/no_team.html", status=403)
        return view(request, *args, **kwargs)

    guard: Callable[..., HttpResponse] = login_required(guarded)
    return guard

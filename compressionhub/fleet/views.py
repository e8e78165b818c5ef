"""The Fleet page: which workers are alive, what can each do, how deep are the queues?"""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from compressionhub.accounts.http import HubRequest, team_required
from compressionhub.fleet.overview import overview


@team_required
def index(request: HubRequest) -> HttpResponse:
    return render(request, "fleet/index.html", {"fleet": overview()})

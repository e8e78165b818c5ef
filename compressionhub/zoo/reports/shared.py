"""A report for whoever holds a link to it: no account, no cookie, no way on to anything else."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from compressionhub.zoo.reports import links
from compressionhub.zoo.reports.models import ShareLink
from compressionhub.zoo.reports.sheet import sheet_of
from compressionhub.zoo.reports.views import download

HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Cache-Control": "no-store",
}


@require_GET
def page(request: HttpRequest, token: str) -> HttpResponse:
    def show(link: ShareLink) -> HttpResponse:
        found = link.report
        context = {"report": found, "sheet": sheet_of(found.evidence, found.sha256), "link": link, "token": token}
        return render(None, "reports/shared.html", context)  # no request: nobody's session is asked

    return _answer(request, token, show, is_download=False)


@require_GET
def pdf(request: HttpRequest, token: str) -> HttpResponse:
    return _answer(request, token, lambda link: download(link.report, "pdf"), is_download=True)


def _answer(
    request: HttpRequest, token: str, show: Callable[[ShareLink], HttpResponse], *, is_download: bool
) -> HttpResponse:
    """The report; or the same 404 for a wrong, an expired, a revoked and a switched-off link; or 429 for guessers."""
    if not links.may_try(request):
        response = render(None, "reports/shared_nothing.html", {"pause": True}, status=429)
    elif (link := links.opened(token, download=is_download)) is None:
        links.note_miss(request)
        response = render(None, "reports/shared_nothing.html", status=404)
    else:
        response = show(link)
    for name, value in HEADERS.items():
        response[name] = value
    return response

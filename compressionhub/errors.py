"""Errors a person meets, with the same three things on the page, in the API and in the log: message, hint, code."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from workers.errors import YoursToFix

log = logging.getLogger(__name__)


class HubError(Exception):
    """Something a person asked for cannot be done; says why and what would help."""

    status = 400
    code = "hub.error"

    def __init__(self, message: str, *, hint: str = "", code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or type(self).code
        self.status = status or type(self).status


class NotAllowed(HubError):
    """The person is known and may see the thing, but their role does not reach."""

    status = 403
    code = "hub.not-allowed"


class WrongState(HubError):
    """The thing is not in a state in which this can be done."""

    status = 409
    code = "hub.wrong-state"


class Invalid(HubError):
    """What was sent cannot be used as it is."""

    status = 422
    code = "hub.invalid"


def as_problem(error: HubError | YoursToFix) -> dict[str, Any]:
    """The error as a problem document (RFC 9457). ``title`` is the message, ``type`` a stable code."""
    status = error.status if isinstance(error, HubError) else Invalid.status
    return {"type": error.code, "title": error.message, "detail": error.hint, "status": status}


def answer(request: HttpRequest, problem: dict[str, Any]) -> HttpResponse:
    """Render a problem for whoever asked: a program, an htmx element or a person."""
    status = problem["status"]
    if request.path.startswith("/api/"):
        return JsonResponse(problem, status=status, content_type="application/problem+json")
    page = "error.html"
    htmx: Any = getattr(request, "htmx", None)
    if htmx and not htmx.boosted:
        page = "error.html#problem"
    return render(request, page, {"problem": problem, "status": status}, status=status)


class ProblemMiddleware:
    """Turns the errors that are somebody's to fix into answers; everything else stays a server error."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, HubError | YoursToFix):
            return None
        log.info("%s: %s", error.code, error.message)
        return answer(request, as_problem(error))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    problem = {"type": "hub.bad-request", "title": "The request could not be read.", "status": 400}
    return answer(request, {**problem, "detail": "Go back and try again."})


def no_permission(request: HttpRequest, exception: Exception) -> HttpResponse:
    problem = {"type": "hub.not-allowed", "title": "You may not do this.", "status": 403}
    return answer(request, {**problem, "detail": "Ask an admin of your team."})


def out_of_date(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's secret does not match: an old page, cookies that are off, or another site's form."""
    problem = {"type": "hub.out-of-date", "title": "This page is out of date, so nothing was done.", "status": 403}
    return answer(request, {**problem, "detail": "Go back, reload it and try again. Cookies must be allowed."})


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    problem = {"type": "hub.not-found", "title": "There is nothing at this address.", "status": 404}
    return answer(request, {**problem, "detail": "It may have been deleted, or it belongs to another team."})


def server_error(request: HttpRequest) -> HttpResponse:
    problem = {"type": "hub.server-error", "title": "Something went wrong on our side.", "status": 500}
    return answer(request, {**problem, "detail": "Nothing was lost. Try again; the log of the site has the details."})

"""``/internal/blobs/``: how a worker on another host gets the inputs of its jobs and hands in results.

A token reads only what a job that waits, or that this worker holds, needs; it writes only while the worker holds one.
What it writes lies under the hash of its bytes, which the hub computes itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from compressionhub.accounts import tokens
from compressionhub.errors import HubError, Invalid, as_problem
from compressionhub.fleet.models import WorkerToken
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import State
from compressionhub.jobs.tickets import LIMITS, ticket
from compressionhub.library.partial import PIECE_BYTES, Body
from compressionhub.library.sending import SentFile
from compressionhub.library.store import store
from compressionhub.library.streaming import Cut, body_of
from workers.store import BadKey

MOST_JOBS_LOOKED_AT = 500


class Unknown(HubError):
    """The token is none, was revoked, or may not see what it asks for; all of these answer alike where they can."""

    status = 401
    code = "worker.token"


class NotYours(HubError):
    status = 404
    code = "worker.no-such-blob"


@csrf_exempt  # no cookie counts here
@require_http_methods(["GET", "PUT"])
def blob(request: HttpRequest, key: str) -> HttpResponseBase:
    """Send an input, or take a result in."""
    try:
        node = _node(request)
        return _take_in(request, node, key) if request.method == "PUT" else _send(node, key)
    except Cut:
        return HttpResponse(status=400)  # nobody is there to read it
    except BadKey as error:
        problem = as_problem(error)
        return JsonResponse(problem, status=problem["status"], content_type="application/problem+json")
    except HubError as error:
        return JsonResponse(as_problem(error), status=error.status, content_type="application/problem+json")


def _node(request: HttpRequest) -> str:
    """The name of the worker that asks."""
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and secret.startswith(tokens.MARK):
        row = WorkerToken.objects.filter(digest=tokens.digest(secret), revoked_at=None).first()
        if row is not None:
            return row.node
    raise Unknown("Expected the token of a worker.", hint="Make one with: python3 manage.py worker_token NAME")


def _send(node: str, key: str) -> HttpResponseBase:
    store().path(key)  # refuses what is no key
    mine = Q(node=node, state__in=(State.RUNNING, State.CANCELLING)) | Q(state=State.QUEUED)
    jobs = Job.objects.filter(mine).select_related("model_version__model", "dataset").prefetch_related("others")
    held_first = jobs.order_by("-node", "queued_at")[:MOST_JOBS_LOOKED_AT]
    found = next((each for job in held_first for each in ticket(job).inputs if each.key == key), None)
    if found is None or not store().exists(key):
        raise NotYours("Expected the input of a job of yours.", hint="The job may have ended, or the file is deleted.")
    return SentFile(key, filename=found.name, sha256=found.sha256)


def _take_in(request: HttpRequest, node: str, key: str) -> HttpResponse:
    if not Job.objects.filter(node=node, state__in=(State.RUNNING, State.CANCELLING)).exists():
        raise NotYours("Expected a worker that holds a job.", hint="The job may have ended meanwhile.")
    kept = store().put_pieces(_pieces(body_of(request)), name=key, expected_key=key)
    return JsonResponse({"key": kept.key, "size_bytes": kept.size_bytes})


def _pieces(body: Body) -> Iterator[bytes]:
    """A body as it arrives.

    Raises:
        Invalid: if it is more than a job may write.
    """
    arrived = 0
    for piece in iter(lambda: body.read(PIECE_BYTES), b""):
        arrived += len(piece)
        if arrived > LIMITS.disk_bytes:
            raise Invalid(f"Expected at most {LIMITS.disk_bytes} bytes, found more.", status=413)
        yield piece

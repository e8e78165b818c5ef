"""Resumable uploads: tus 1.0 with creation, expiration, checksum and termination, as plain views.

A client announces a file (POST), then sends it in chunks (PATCH), each at the byte where the last
one ended (HEAD). Whatever cuts a chunk short, the next one goes on from what lies on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from ninja.utils import check_csrf

from compressionhub.accounts.bearer import Bearer, Caller
from compressionhub.accounts.http import HubRequest
from compressionhub.accounts.models import Scope
from compressionhub.errors import HubError, Invalid, as_problem
from compressionhub.library import actions, partial, tus
from compressionhub.library.models import FileKind, TrainedModel, Upload
from compressionhub.library.streaming import Cut, body_of
from compressionhub.ui.ids import as_uuid

P = ParamSpec("P")


class NotSignedIn(HubError):
    status = 401
    code = "upload.not-signed-in"


class NotFound(HubError):
    """Somebody else's upload answers like one that never was."""

    status = 404
    code = "upload.not-found"


class MethodUnknown(HubError):
    status = 405
    code = "upload.method-unknown"


def speaks_tus(view: Callable[Concatenate[HubRequest, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Check who asks and in which version; answer errors in JSON, which the uploader shows beside the file."""

    @csrf_exempt  # checked below, where the caller is a session and not a token
    def guarded(request: HubRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            response = _guarded(view, request, *args, **kwargs)
        except Cut:
            response = HttpResponse(status=400)  # nobody is there to read it
        except HubError as error:
            response = JsonResponse(as_problem(error), status=error.status, content_type="application/problem+json")
        response["Tus-Resumable"] = tus.VERSION
        response["Cache-Control"] = "no-store"
        return response

    return guarded


def _guarded(
    view: Callable[Concatenate[HubRequest, P], HttpResponse], request: HubRequest, *args: P.args, **kwargs: P.kwargs
) -> HttpResponse:
    if request.method == "OPTIONS":
        return _abilities()
    if refused := _recognise(request):
        return refused
    tus.require_version(request)
    return view(request, *args, **kwargs)


def _recognise(request: HubRequest) -> HttpResponse | None:
    """Set person and team by an API token, or see that a signed-in person's own page asks.

    Returns:
        The answer to somebody else's form; None where all is well.

    Raises:
        NotSignedIn: if it is nobody.
        NotAllowed: if the token only reads.
    """
    if request.headers.get("Authorization"):
        caller: Caller | None = Bearer()(request)
        if caller is None:
            raise NotSignedIn("Expected a valid API token.", hint="Make one on your account page.")
        caller.require(Scope.WRITE)
        request.user, request.team = caller.user, caller.team
        return None
    if not request.user.is_authenticated or request.team is None:
        raise NotSignedIn("Expected somebody signed in.", hint="Sign in again; what arrived is kept.")
    return check_csrf(request)


def _abilities() -> HttpResponse:
    return HttpResponse(
        status=204,
        headers={
            "Tus-Version": tus.VERSION,
            "Tus-Extension": tus.EXTENSIONS,
            "Tus-Max-Size": str(settings.UPLOAD_BYTES),
            "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
        },
    )


@speaks_tus
def uploads(request: HubRequest) -> HttpResponse:
    """Announce a file: POST with its length and metadata; answers with where to send it."""
    if request.method != "POST":
        raise MethodUnknown(f"Expected POST, found {request.method}.", hint="Announce a file with POST.")
    actions.sweep_uploads()
    said = tus.metadata(request)
    if said.kind not in FileKind.values:
        raise Invalid(f"Expected kind model or dataset, found {said.kind[:40]!r}.", hint="Say it in Upload-Metadata.")
    model = _model(request, said.model)
    made = actions.start_upload(
        team=model.team if model else request.team,
        by=request.user,
        kind=FileKind(said.kind),
        filename=said.filename,
        size_bytes=tus.number(request, "Upload-Length"),
        name=said.name,
        model=model,
        target=said.target,
    )
    return HttpResponse(status=201, headers={"Location": reverse("library:upload", args=[made.pk]), **_life(made)})


def _model(request: HubRequest, key: str) -> TrainedModel | None:
    """The model a new version is for, if the person may know of it."""
    if not key:
        return None
    mine = TrainedModel.objects.visible_to(request.user).select_related("team")
    found = mine.filter(pk=wanted).first() if (wanted := as_uuid(key)) else None
    if found is None:
        raise NotFound("There is no such model.", hint="It may have been deleted. Reload the page.")
    return found


@speaks_tus
def upload(request: HubRequest, pk: UUID) -> HttpResponse:
    """One upload: HEAD asks how far it is, PATCH sends a chunk, DELETE throws it away."""
    found = Upload.objects.of(request.user).select_related("team", "by", "model").filter(pk=pk).first()
    answers = {"HEAD": _tell, "PATCH": _receive, "DELETE": _abandon}
    if found is None:
        raise NotFound("There is no such upload.", hint="It may have expired. Start it again.")
    if request.method not in answers:
        raise MethodUnknown(f"Expected HEAD, PATCH or DELETE, found {request.method}.", hint="See the tus protocol.")
    return answers[request.method](request, found)


def _tell(request: HubRequest, found: Upload) -> HttpResponse:
    arrived = found.size_bytes if found.arrived_at else partial.length(found.pk)
    if arrived == found.size_bytes and not found.arrived_at:
        # The bytes came but the hub went away before it took them in; a client with nothing left to send only asks.
        with partial.alone(found.pk):
            _see_it_is_there_still(found)
            actions.finish_upload(upload=found)
    return HttpResponse(headers={"Upload-Offset": str(arrived), "Upload-Length": str(found.size_bytes), **_life(found)})


def _receive(request: HubRequest, found: Upload) -> HttpResponse:
    tus.require_chunk_type(request)
    offset, checksum = tus.number(request, "Upload-Offset"), tus.checksum(request)
    _refuse_too_long(request, found, offset)
    with partial.alone(found.pk) as file:
        _see_it_is_there_still(found)
        if found.arrived_at is not None:
            raise Invalid("This file has arrived already.", hint="Start a new upload.", code="upload.arrived")
        arrived = partial.append(file, body_of(request), offset=offset, most=found.size_bytes, checksum=checksum)
        if arrived == found.size_bytes:
            actions.finish_upload(upload=found)
    return HttpResponse(status=204, headers={"Upload-Offset": str(arrived), **_life(found)})


def _see_it_is_there_still(found: Upload) -> None:
    """Read again whether it has arrived; thrown away meanwhile, its file must not come back without its row."""
    try:
        found.refresh_from_db(fields=["arrived_at", "arrived_as"])
    except Upload.DoesNotExist:
        partial.discard(found.pk)
        raise NotFound("There is no such upload any more.", hint="It was thrown away. Start it again.") from None


def _refuse_too_long(request: HttpRequest, found: Upload, offset: int) -> None:
    """Say no before reading, where the announced length of the body gives it away."""
    announced = request.META.get("CONTENT_LENGTH") or "0"
    if announced.isdecimal() and offset + int(announced) > found.size_bytes:
        raise Invalid(
            f"Expected at most {found.size_bytes} bytes, found more.",
            hint="Start a new upload.",
            code="upload.too-long",
            status=413,
        )


def _abandon(request: HubRequest, found: Upload) -> HttpResponse:
    actions.abandon_upload(upload=found, by=request.user)
    return HttpResponse(status=204)


def _life(found: Upload) -> dict[str, str]:
    """Until when the upload may be resumed, or what it has become."""
    return (
        {"Content-Location": found.arrived_as}
        if found.arrived_as
        else {"Upload-Expires": tus.expires(found.expires_at)}
    )

"""``/api/v1``: composition only. Operations live in the apps' ``api.py``; errors are problem documents (RFC 9457)."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from compressionhub.accounts.bearer import Bearer, Session
from compressionhub.errors import HubError, answer, as_problem
from compressionhub.jobs.api import router as jobs
from compressionhub.library.api import router as library
from compressionhub.zoo.reports.api import router as reports
from workers.errors import YoursToFix

PROBLEM_SCHEMA = {
    "type": "object",
    "description": "An error: a stable code, what was expected and found, and what would help.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "status": {"type": "integer"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
PROBLEMS = {
    401: "No valid token or session",
    403: "The role or the token does not reach",
    404: "Nothing there, or not yours to see",
    409: "Not in a state in which this can be done",
    422: "What was sent cannot be used",
}


class HubAPI(NinjaAPI):
    """Declares the errors once for every operation."""

    def get_openapi_schema(self, **options: Any) -> Any:
        schema = super().get_openapi_schema(**options)
        schema["components"]["schemas"]["Problem"] = PROBLEM_SCHEMA
        content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        for operation in (operation for path in schema["paths"].values() for operation in path.values()):
            for status, says in PROBLEMS.items():
                operation["responses"][status] = {"description": says, "content": content}
            operation["security"] = [{"Bearer": []}, {"Session": []}]  # coroutines use the same two by other classes
        for name in ("AsyncBearer", "AsyncSession"):
            schema["components"]["securitySchemes"].pop(name)
        return schema


api = HubAPI(
    title="CompressionHub",
    version="1",
    urls_namespace="api",
    description="Submit compression jobs, follow them, download what they made. Tokens: on the account page.",
    auth=[Bearer(), Session()],
    docs_url=None,
)
api.add_router("", library)
api.add_router("", jobs)
api.add_router("", reports)


@api.exception_handler(HubError)
@api.exception_handler(YoursToFix)
def _ours(request: HttpRequest, error: Any) -> HttpResponse:
    return answer(request, as_problem(error))


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Exception) -> HttpResponse:
    return problem(
        "hub.not-found",
        "There is nothing at this address.",
        "It may have been deleted, or it belongs to another team.",
        404,
    )


@api.exception_handler(AuthenticationError)
def _unknown(request: HttpRequest, error: Exception) -> HttpResponse:
    response = problem(
        "hub.not-signed-in",
        "Expected a token or a session, found none that is valid.",
        "Make a token on the account page.",
        401,
    )
    response["WWW-Authenticate"] = "Bearer"
    return response


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    first = error.errors[0]
    where = ".".join(str(part) for part in first["loc"])
    return problem(
        "hub.invalid", f"{where}: {first['msg']}", "Correct it and send it again.", 422, errors=_plain(error.errors)
    )


@api.exception_handler(HttpError)
def _refused(request: HttpRequest, error: HttpError) -> HttpResponse:
    return problem("hub.refused", str(error), "", error.status_code)


def problem(kind: str, title: str, detail: str, status: int, **more: Any) -> JsonResponse:
    """A problem document as an answer."""
    body = {"type": kind, "title": title, "detail": detail, "status": status, **more}
    return JsonResponse(body, status=status, content_type="application/problem+json")


def _plain(errors: list[Any]) -> list[dict[str, Any]]:
    """Where and what, without the values that were sent."""
    return [{"loc": list(item["loc"]), "msg": item["msg"]} for item in errors]

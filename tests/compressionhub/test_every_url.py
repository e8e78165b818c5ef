"""Every address of the hub, walked as each of the cast.

The addresses come from the URL resolver, so a page that is added later is walked without being listed here.
What belongs to Alice's team is named in ``NAMES``; anything else is asked for with an id that does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver

# What nobody needs to sign in for: the way in, what machines ask, and downloads, whose right is in their signed link.
OPEN = {"/sign-in/", "/healthz", "/metrics", "/zoo/file/", "/api/v1/openapi.json", "/api/v1/docs"}
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


def routes(resolver: URLResolver | None = None, prefix: str = "", space: str = "") -> Iterator[tuple[str, str]]:
    """Every address with its parameters still in it, and its name."""
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from routes(entry, route, f"{space}{entry.namespace}:" if entry.namespace else space)
        elif isinstance(entry, URLPattern):
            yield "/" + re.sub(r"[\^$?]|\\Z|\\", "", route), f"{space}{entry.name or ''}"


ALL = sorted(set(routes()))


def filled(route: str, name: str, known: dict[str, str]) -> str:
    """The address with ids that exist where the route is about something known, else with made-up ones."""
    place = route.split("/")[1]

    def value(found: re.Match[str]) -> str:
        key, kind = found.group(1), found.group(0)
        if f"{place}.{key}" in known:
            return known[f"{place}.{key}"]
        return "1" if "int:" in kind else str(uuid4()) if "uuid:" in kind else "nothing"

    return PARAMETER.sub(value, route)


@pytest.fixture
def known(version, dataset) -> dict[str, str]:
    """Ids of what Alice's team owns, by the first word of the address and the name of the parameter."""
    return {"models.pk": str(version.model_id), "models.number": "1", "datasets.pk": str(dataset.pk)}


def is_open(address: str) -> bool:
    return any(address == one or (one.endswith("/") and one != "/sign-in/" and address.startswith(one)) for one in OPEN)


def answers(client, known: dict[str, str]) -> Iterator[tuple[str, str, int, str, str]]:
    """Ask every address in both ways, undoing what was done: route, address, status, where it leads, what it says."""
    for route, name in ALL:
        if name == "accounts:sign-out":
            continue
        address = filled(route, name, known)
        for ask in (client.get, client.post):
            before = transaction.savepoint()
            answer = ask(address)
            transaction.savepoint_rollback(before)
            said = "" if answer.streaming else answer.content.decode(errors="replace")
            yield route, address, answer.status_code, answer.headers.get("Location", ""), said


@pytest.mark.django_db
def test_nobody_sees_anything_without_signing_in(client, known):
    seen = [
        (address, status, leads)
        for _, address, status, leads, _ in answers(client, known)
        if not is_open(address)
        and (status not in (301, 302, 401, 403, 404, 405) or (status == 302 and not leads.startswith("/sign-in/")))
    ]

    assert seen == []


def test_a_stranger_finds_nothing_of_the_team(client, charlie, known):
    client.force_login(charlie)
    seen = []

    for route, address, status, _, said in answers(client, known):
        names_something = route != address and not is_open(address)
        own = route.split("/")[1] in ("models", "datasets")
        if names_something and (status < 400 or (own and status not in (404, 405))):
            seen.append((address, status))
        if "digits-cnn" in said or "Meridian" in said:
            seen.append((address, said[:200]))

    assert seen == []


@pytest.mark.parametrize("who", ["alice", "adam", "bob", "vera", "charlie"])
def test_no_address_breaks_for_anybody(client, cast, known, who):
    client.force_login(cast[who])
    client.raise_request_exception = False

    assert [(address, status) for _, address, status, _, _ in answers(client, known) if status >= 500] == []


WRITES = [
    ("library:describe-model", "bob"),
    ("library:delete-model", "alice"),
    ("library:delete-version", "alice"),
    ("library:confirm-contract", "bob"),
    ("library:try", "bob"),
    ("library:upload-version", "bob"),
    ("library:describe-dataset", "bob"),
    ("library:choose-target", "bob"),
    ("library:delete-dataset", "alice"),
    ("accounts:add-person", "adam"),
]
RANK = {"vera": 0, "bob": 1, "adam": 2, "alice": 3}


@pytest.mark.parametrize(("name", "least"), WRITES)
def test_a_missing_role_is_a_403_and_the_role_itself_is_not(client, cast, known, dataset, name, least):
    route = next(route for route, found in ALL if found == name)
    address = filled(route, name, known)
    body = {
        "name": "n",
        "target": "",
        "dataset": str(dataset.pk),
        "full_name": "D",
        "username": "dana",
        "role": "viewer",
    }

    for who, rank in sorted(RANK.items(), key=lambda item: item[1]):
        client.force_login(cast[who])
        ask = client.get if name == "library:upload-version" else client.post
        answer = ask(address, body)
        assert (answer.status_code == 403) is (rank < RANK[least]), (who, answer.status_code)
        if rank >= RANK[least]:
            break

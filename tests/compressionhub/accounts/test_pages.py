"""Signing in, the account page and the team page, as people meet them."""

import pytest

from compressionhub.accounts.models import Membership
from tests.compressionhub.conftest import PASSWORD


def sign_in(client, name: str, password: str = PASSWORD, **more: str):
    return client.post("/sign-in/", {"username": name, "password": password, **more})


@pytest.mark.parametrize("name", ["bob", "BOB", "bob@example.org", "Bob@Example.org"])
def test_one_signs_in_by_name_or_address_in_any_case(client, bob, name):
    assert sign_in(client, name).status_code == 302


def test_a_wrong_password_says_neither_which_part_was_wrong(client, bob):
    known = sign_in(client, "bob", "wrong").content.decode()
    unknown = sign_in(client, "nobody", "wrong").content.decode()

    assert "Name and password do not match." in known
    assert "Name and password do not match." in unknown


@pytest.mark.parametrize(
    "address", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_signing_in_never_leads_off_the_site(client, bob, address):
    assert sign_in(client, "bob", next=address).headers["Location"] == "/"


def test_signing_in_leads_where_one_wanted_to_go(client, bob):
    assert sign_in(client, "bob", next="/models/").headers["Location"] == "/models/"


def test_wrong_passwords_pause_a_name_however_it_is_spelt(client, bob, settings):
    spellings = ["bob", "Bob", "BOB", "bob@example.org", "BOB@EXAMPLE.ORG"]
    for attempt in range(settings.AXES_FAILURE_LIMIT):
        sign_in(client, spellings[attempt % len(spellings)], "wrong")

    paused = sign_in(client, "bOb")

    assert paused.status_code == 429
    assert "Too many wrong passwords" in paused.content.decode()


def test_the_last_tries_are_counted_down(client, bob, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT - 3):
        page = sign_in(client, "bob", "wrong")

    assert "3 tries left" in page.content.decode()


def test_a_foreign_host_name_is_refused(client, db, settings):
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["hub.example"]

    assert client.get("/sign-in/", headers={"Host": "evil.example"}).status_code == 400


def test_a_token_is_shown_once(client, bob):
    client.force_login(bob)

    made = client.post("/account/tokens/", {"name": "laptop", "scope": "read", "days": "90"})
    again = client.get("/account/")

    assert "chub_" in made.content.decode()
    assert 'id="secret"' not in again.content.decode()
    assert "no-store" in made.headers["Cache-Control"]


def test_a_first_password_is_shown_once_and_asks_to_be_changed(client, adam, team):
    client.force_login(adam)

    page = client.post("/team/people/", {"full_name": "Dana", "email": "dana@example.org", "role": "engineer"})
    password = page.content.decode().split('id="first-password">')[1].split("<")[0]
    client.logout()
    sign_in(client, "dana", password)

    assert "Somebody else has seen it" in client.get("/account/").content.decode()
    assert 'id="first-password"' not in client.get("/team/").content.decode()


def test_changing_the_password_keeps_this_session_and_ends_the_others(client, bob):
    from django.test import Client

    other = Client()
    client.force_login(bob)
    other.force_login(bob)

    client.post("/account/password/", {"old": PASSWORD, "new": "a very fine long one"})

    assert client.get("/account/").status_code == 200
    assert other.get("/account/").status_code == 302


@pytest.mark.parametrize(("who", "sees"), [("alice", True), ("adam", True), ("bob", False), ("vera", False)])
def test_the_audit_trail_is_on_the_page_of_those_who_may_read_it(client, cast, who, sees):
    client.force_login(cast[who])

    assert ("Audit trail" in client.get("/team/").content.decode()) is sees


def test_a_person_on_two_teams_switches_between_them(client, bob, team, other_team):
    Membership.objects.create(user=bob, team=other_team, role="viewer")
    client.force_login(bob)

    client.post("/team/switch/", {"team": str(other_team.pk)})

    assert "Elsewhere" in client.get("/team/").content.decode()


def test_switching_to_a_foreign_team_changes_nothing(client, bob, team, other_team):
    client.force_login(bob)

    client.post("/team/switch/", {"team": str(other_team.pk)})

    assert "Elsewhere" not in client.get("/team/").content.decode()


def test_somebody_without_a_team_is_told_what_to_do(client, person):
    client.force_login(person("dana"))

    page = client.get("/models/")

    assert page.status_code == 403
    assert "on no team yet" in page.content.decode()


def test_a_hostile_name_stays_text_on_the_team_page_and_in_the_trail(client, alice, bob):
    bob.full_name = "<img src=x onerror=alert(1)>"
    bob.save()
    client.force_login(bob)
    client.post("/account/", {"full_name": "<img src=x onerror=alert(2)>", "email": "bob@example.org"})
    client.force_login(alice)

    assert "<img src=x" not in client.get("/team/").content.decode()

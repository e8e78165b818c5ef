"""Links that show one report to people without an account, and everything they must not show."""

import logging
import re
from datetime import timedelta

import pypdf
import pytest
from django.conf import settings
from django.utils import timezone

from compressionhub.accounts import actions as accounts
from compressionhub.accounts.models import AuditEntry
from compressionhub.errors import Invalid, NotAllowed, WrongState
from compressionhub.zoo.reports import actions, shared
from compressionhub.zoo.reports.models import Report, ShareLink


@pytest.fixture
def made(team, vera, priced, workload) -> Report:
    return actions.make(team=team, by=vera, entries=[priced], workload=workload)


@pytest.fixture
def link(made, adam) -> tuple[ShareLink, str]:
    return actions.share(report=made, by=adam, days=7)


def test_a_stranger_reads_the_one_report_and_nothing_leads_further(client, made, link):
    answer = client.get(f"/shared/{link[1]}/")
    page = answer.content.decode()

    assert answer.status_code == 200 and "51.7 %" in page and made.sha256 in page
    leads = set(re.findall(r'(?:href|src|action)="([^"]+)"', page))
    assert {each for each in leads if not each.startswith("/static/")} == {f"/shared/{link[1]}/report.pdf"}
    assert "<script" not in page and "<form" not in page and "<nav" not in page


def test_it_needs_and_leaves_no_cookie_and_is_neither_found_nor_told(client, link):
    for path in ("", "report.pdf"):
        answer = client.get(f"/shared/{link[1]}/{path}")
        assert answer.status_code == 200
        assert not answer.cookies and "Set-Cookie" not in answer.headers
        assert answer["Referrer-Policy"] == "no-referrer" and "noindex" in answer["X-Robots-Tag"]
        assert answer["Cache-Control"] == "no-store"


def test_a_guest_takes_the_pdf_and_no_table(client, made, link, tmp_path):
    path = tmp_path / "report.pdf"
    path.write_bytes(client.get(f"/shared/{link[1]}/report.pdf").content)

    assert "51.7 %" in pypdf.PdfReader(path).pages[0].extract_text()
    for kind in ("csv", "xlsx", "json"):
        assert client.get(f"/shared/{link[1]}/report.{kind}").status_code == 404
        assert client.get(f"/reports/{made.pk}/download/{kind}/").status_code == 302


def test_only_the_hash_is_kept(link):
    found, token = link

    kept = " ".join(str(value) for value in ShareLink.objects.filter(pk=found.pk).values().get().values())
    trail = " ".join(str(entry.detail) + entry.target_name for entry in AuditEntry.objects.all())
    assert len(token) > 40 and token not in kept and token[-20:] not in kept + trail


def test_wrong_expired_revoked_and_switched_off_read_the_same(client, made, link, adam, team):
    expired, revoked = (actions.share(report=made, by=adam, days=1) for _ in range(2))
    ShareLink.objects.filter(pk=expired[0].pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    actions.revoke(link=revoked[0], by=adam)
    accounts.allow_sharing(team=team, by=adam, allowed=False)

    tokens = ("chub_share_" + "a" * 43, "x", expired[1], revoked[1], link[1])
    answers = [client.get(f"/shared/{token}/") for token in tokens]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1
    assert not any(answer.cookies for answer in answers)
    accounts.allow_sharing(team=team, by=adam, allowed=True)
    assert client.get(f"/shared/{link[1]}/").status_code == 200


def test_every_opening_is_counted_and_misses_are_not(client, link):
    for path in ("", "", "report.pdf"):
        client.get(f"/shared/{link[1]}/{path}")
    client.get(f"/shared/{link[1]}x/")

    found = ShareLink.objects.get(pk=link[0].pk)
    assert (found.openings, found.downloads) == (2, 1) and found.last_opened_at is not None


def test_guessers_are_held_off_as_at_the_sign_in(client, link):
    guesses = [client.get(f"/shared/guess-{at}/").status_code for at in range(settings.AXES_FAILURE_LIMIT)]

    assert set(guesses) == {404}
    held_off = client.get(f"/shared/{link[1]}/")
    assert held_off.status_code == 429 and "51.7" not in held_off.content.decode() and not held_off.cookies
    assert client.get(f"/shared/{link[1]}/", REMOTE_ADDR="192.0.2.7").status_code == 200


def test_no_token_reaches_the_log(client, link, monkeypatch, capsys):
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError(f"while showing /shared/{link[1]}/")

    monkeypatch.setattr(shared, "sheet_of", broken)
    client.raise_request_exception = False
    handler = logging.getHandlerByName("console") if hasattr(logging, "getHandlerByName") else None
    written: list[str] = []
    formatter = logging.getLogger("django").handlers[0].formatter
    monkeypatch.setattr(
        logging.getLogger("django").handlers[0], "emit", lambda record: written.append(formatter.format(record))
    )  # fmt: skip
    assert handler is None or handler.formatter is formatter

    answer = client.get(f"/shared/{link[1]}/")
    client.get(f"/shared/{link[1][:-1]}/")

    assert answer.status_code == 500
    told = "\n".join(written) + capsys.readouterr().err
    assert "/shared/" in told and link[1][12:] not in told and link[1][12:-1] not in told


def test_what_axes_keeps_of_a_guess_holds_no_token(client, link):
    from axes.models import AccessAttempt

    client.get(f"/shared/{link[1][:-1]}/")

    kept = [str(value) for row in AccessAttempt.objects.values() for value in row.values()]
    assert kept and not any(link[1][12:-1] in value for value in kept)


def test_admins_share_and_revoke_and_others_do_not(client, cast, made, link):
    for who in ("bob", "vera", "charlie"):
        with pytest.raises(NotAllowed):
            actions.share(report=made, by=cast[who], days=1)
        with pytest.raises(NotAllowed):
            actions.revoke(link=link[0], by=cast[who])
        with pytest.raises(NotAllowed):
            accounts.allow_sharing(team=made.team, by=cast[who], allowed=False)
        client.force_login(cast[who])
        wanted = 404 if who == "charlie" else 403
        assert client.post(f"/reports/{made.pk}/share/", {"days": "1"}).status_code == wanted
        assert client.post(f"/reports/links/{link[0].pk}/revoke/").status_code == wanted
    assert "Make link" not in _page(client, cast["vera"], made) and "Make link" in _page(client, cast["alice"], made)


def _page(client, user, report: Report) -> str:
    client.force_login(user)
    return client.get(report.get_absolute_url()).content.decode()


def test_the_link_is_shown_once_and_opens(client, adam, made):
    client.force_login(adam)

    page = client.post(f"/reports/{made.pk}/share/", {"days": "30"}).content.decode()
    address = re.search(r'id="secret">([^<]+)<', page)[1]

    client.logout()
    assert client.get(address).status_code == 200
    assert address not in _page(client, adam, made)
    assert [entry.verb for entry in AuditEntry.objects.filter(by=adam)].count("report.share") == 1


@pytest.mark.parametrize("days", [0, -1, 91, 10**9])
def test_a_link_lives_at_most_ninety_days(made, adam, days):
    with pytest.raises(Invalid):
        actions.share(report=made, by=adam, days=days)


def test_a_team_switches_links_off_on_its_page(client, adam, made, team):
    client.force_login(adam)
    client.post("/team/share-links/", {"allowed": "no"})

    team.refresh_from_db()
    made.refresh_from_db()
    with pytest.raises(WrongState):
        actions.share(report=made, by=adam, days=1)
    assert "switched off" in client.get(made.get_absolute_url()).content.decode()
    assert AuditEntry.objects.filter(verb="team.share-links", by=adam).exists()


def test_revoking_is_written_down_and_twice_is_once(adam, link):
    actions.revoke(link=link[0], by=adam)
    actions.revoke(link=link[0], by=adam)

    assert AuditEntry.objects.filter(verb="report.unshare").count() == 1

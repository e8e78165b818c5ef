"""Decisions that an entry may replace its baseline: who asks, who decides, and on what."""

import pytest

from compressionhub.accounts.models import AuditEntry, Membership
from compressionhub.errors import Invalid, NotAllowed, WrongState
from compressionhub.zoo import actions as zoo
from compressionhub.zoo.approvals import actions
from compressionhub.zoo.approvals.models import Approval, Decision
from compressionhub.zoo.approvals.standing import waiting_for
from compressionhub.zoo.models import Entry, Standing
from compressionhub.zoo.reports import actions as reports
from compressionhub.zoo.reports.models import Report


@pytest.fixture
def made(team, vera, priced, workload) -> Report:
    return reports.make(team=team, by=vera, entries=[priced], workload=workload)


@pytest.fixture
def asked(made, vera) -> Approval:
    return actions.ask(report=made, by=vera, why="It halves the bill.")


def test_an_approval_names_the_report_its_hash_who_and_when(asked, adam, made, client, vera):
    actions.decide(approval=asked, by=adam, approve=True, reason="Within the limit.")

    asked.refresh_from_db()
    assert (asked.decision, asked.decided_by, asked.sha256) == (Decision.APPROVED, adam, made.sha256)
    line = AuditEntry.objects.get(verb="approval.approve")
    assert line.by == adam and line.detail["sha256"] == made.sha256 and line.detail["reason"] == "Within the limit."
    client.force_login(vera)
    page = client.get(asked.entry.get_absolute_url()).content.decode()
    assert "Decided by Adam" in page and "report #1" in page


def test_nobody_decides_their_own_request_while_somebody_else_may(made, adam, alice):
    own = actions.ask(report=made, by=adam, why="It halves the bill.")

    for approve in (True, False):
        with pytest.raises(NotAllowed):
            actions.decide(approval=own, by=adam, approve=approve, reason="Mine.")

    assert actions.decide(approval=own, by=alice, approve=True, reason="Fine.").decision == Decision.APPROVED


def test_the_only_one_who_may_decides_their_own(made, adam):
    Membership.objects.filter(user__username="alice").delete()
    own = actions.ask(report=made, by=adam, why="It halves the bill.")

    assert list(waiting_for(adam, made.team)) == [own]
    assert actions.decide(approval=own, by=adam, approve=True, reason="I am alone.").decision == Decision.APPROVED


@pytest.mark.parametrize("who", ["bob", "vera", "charlie"])
def test_only_admins_decide(asked, cast, who):
    with pytest.raises(NotAllowed):
        actions.decide(approval=asked, by=cast[who], approve=True, reason="Yes.")

    assert not waiting_for(cast[who], asked.team)


@pytest.mark.parametrize("standing", [Standing.WITHDRAWN, Standing.SUPERSEDED])
def test_outdated_evidence_is_said_so_and_cannot_be_approved(client, asked, adam, standing):
    zoo.retire(entry=asked.entry, by=adam, standing=standing, reason="labels were wrong")
    client.force_login(adam)

    page = client.get(asked.get_absolute_url()).content.decode()
    assert "The evidence is outdated" in page and 'value="approve"' not in page and "labels were wrong" in page
    asked = Approval.objects.get(pk=asked.pk)
    with pytest.raises(WrongState):
        actions.decide(approval=asked, by=adam, approve=True, reason="Yes.")
    assert actions.decide(approval=asked, by=adam, approve=False, reason="Outdated.").decision == Decision.REJECTED


def test_evidence_that_was_tampered_with_cannot_be_approved(asked, adam):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE zoo_report SET evidence_text = evidence_text || ' '")

    with pytest.raises(WrongState):
        actions.decide(approval=Approval.objects.get(pk=asked.pk), by=adam, approve=True, reason="Yes.")


def test_nothing_can_be_asked_about_an_entry_that_is_not_listed(made, vera, adam, priced):
    zoo.retire(entry=priced, by=adam, standing=Standing.WITHDRAWN, reason="wrong")

    with pytest.raises(WrongState):
        actions.ask(report=made, by=vera, why="It halves the bill.")


def test_one_request_at_a_time_and_a_decision_is_final(asked, made, vera, bob, adam, alice):
    with pytest.raises(WrongState):
        actions.ask(report=made, by=bob, why="Again.")
    actions.decide(approval=asked, by=adam, approve=False, reason="Not yet.")

    with pytest.raises(WrongState):
        actions.decide(approval=asked, by=alice, approve=True, reason="But yes.")
    with pytest.raises(WrongState):
        actions.take_back(approval=asked, by=vera)
    assert actions.ask(report=made, by=bob, why="Now it is measured.").is_open


def test_a_request_is_taken_back_by_who_asked_or_by_an_admin(asked, made, bob, vera, adam):
    with pytest.raises(NotAllowed):
        actions.take_back(approval=asked, by=bob)
    assert actions.take_back(approval=asked, by=vera).decision == Decision.TAKEN_BACK
    again = actions.ask(report=made, by=vera, why="After all.")
    assert actions.take_back(approval=again, by=adam).decision == Decision.TAKEN_BACK


@pytest.mark.parametrize("why", ["", "  ", "\u202e\x00"])
def test_a_request_and_a_decision_need_a_sentence(made, vera, adam, why):
    with pytest.raises(Invalid):
        actions.ask(report=made, by=vera, why=why)
    asked = actions.ask(report=made, by=vera, why="It halves the bill.")
    with pytest.raises(Invalid):
        actions.decide(approval=asked, by=adam, approve=True, reason=why)


def test_a_report_of_several_or_of_another_teams_entry_is_no_evidence(
    team, other_team, vera, charlie, priced, finished, adam, workload
):
    second = zoo.publish(job=finished(), by=adam, name="second")
    both = reports.make(team=team, by=vera, entries=[priced, second], workload=workload)
    with pytest.raises(Invalid):
        actions.ask(report=both, by=vera, why="Either.")

    Entry.objects.filter(pk=priced.pk).update(team=other_team)
    foreign = reports.make(team=team, by=vera, entries=[Entry.objects.get(pk=priced.pk)], workload=workload)
    with pytest.raises(Invalid):
        actions.ask(report=foreign, by=vera, why="It is public.")


def test_a_later_report_says_what_was_decided_and_an_earlier_one_stays(asked, made, team, vera, adam, priced, workload):
    actions.decide(approval=asked, by=adam, approve=True, reason="Within the limit.")

    later = reports.make(team=team, by=vera, entries=[priced], workload=workload)

    assert "No approval had been asked for" in Report.objects.get(pk=made.pk).evidence.approval
    assert "Approved by Adam" in later.evidence.approval and "on report #1" in later.evidence.approval


def test_the_whole_way_on_the_pages(client, made, vera, adam):
    client.force_login(vera)
    answer = client.post(f"/approvals/ask/{made.pk}/", {"why": "It halves the bill."}, follow=True)
    assert (
        "waiting for a decision" in answer.content.decode()
        and "An admin of the team decides" in answer.content.decode()
    )
    approval = Approval.objects.get()

    client.force_login(adam)
    assert "1 to decide" in client.get("/reports/").content.decode()
    for address in ("/approvals/", "/"):
        assert "It halves the bill." in client.get(address).content.decode()
    assert client.post(f"/approvals/{approval.pk}/decide/", {"reason": "Fine."}).status_code == 422
    answer = client.post(f"/approvals/{approval.pk}/decide/", {"decision": "approve", "reason": "Fine."}, follow=True)
    assert "approved" in answer.content.decode() and "1 to decide" not in answer.content.decode()


def test_a_stranger_finds_no_request(client, charlie, asked, made):
    client.force_login(charlie)

    assert client.get(asked.get_absolute_url()).status_code == 404
    for path in ("decide", "take-back"):
        assert (
            client.post(f"{asked.get_absolute_url()}{path}/", {"decision": "approve", "reason": "x"}).status_code == 404
        )
    assert client.post(f"/approvals/ask/{made.pk}/", {"why": "x"}).status_code == 404
    assert "digits" not in client.get("/approvals/").content.decode()


def test_home_asks_only_those_who_may_decide(client, cast, asked):
    for who in cast:
        client.force_login(cast[who])
        assert ("waits for your decision" in client.get("/").content.decode()) is (who in ("alice", "adam")), who

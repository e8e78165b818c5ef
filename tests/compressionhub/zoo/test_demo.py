"""The sample team has money on its pages from the first start on, and a second start adds nothing."""

import pytest

from compressionhub.estimates.models import Workload
from compressionhub.zoo import actions, demo, savings
from compressionhub.zoo.models import Approval, Deployment, Report
from tests.compressionhub.zoo.timed_hosts import fit_of, told


@pytest.fixture
def replaced(finished, adam):
    return actions.publish(job=finished(), by=adam, name=demo.JOBS[0].entry, summary="")


def test_its_workload_has_figures_for_a_host_that_timed_itself(team, alice, replaced):
    demo._workload(team, alice)

    usual = Workload.objects.get(team=team, is_usual=True)
    found = savings.savings(told(replaced, fit=fit_of(1e11)), usual.assumed)

    assert found.is_known and found.bill.share.value > 0
    assert [each.is_known for *_, each, _ in found.paybacks] == [True, True]


def test_its_deployments_say_what_served_and_what_took_its_place(team, alice, version, replaced):
    for _ in range(2):
        demo._workload(team, alice)
        demo._deployments(team, alice, {"digits-cnn": version})

    assert Workload.objects.filter(team=team).count() == 1
    before, now = Deployment.objects.filter(team=team).order_by("since")
    assert (before.entry, before.until) == (None, now.since)
    assert now.entry == replaced and now.is_running


def test_a_team_with_workloads_of_its_own_is_left_alone(team, alice, vera, version):
    from compressionhub.estimates import actions as estimates
    from compressionhub.estimates.forms import starting

    estimates.create(team=team, by=vera, assumed=starting(slug="chat", author="Vera"))

    demo._workload(team, alice)
    demo._deployments(team, alice, {"digits-cnn": version})

    assert Workload.objects.get(team=team).name == "Chat" and not Deployment.objects.exists()


def test_a_variant_whose_baseline_serves_untouched_waits_for_approval_on_one_report(
    team, alice, version, finished, adam
):
    proposed = actions.publish(job=finished(), by=adam, name=demo.JOBS[2].entry, summary="")
    demo._workload(team, alice)
    demo._deployments(team, alice, {"digits-mlp": version})

    for _ in range(2):
        demo._request(team, alice)

    asked = Approval.objects.get(team=team)
    assert (asked.entry, asked.is_open, asked.asked_by) == (proposed, True, alice)
    assert asked.report == Report.objects.get(team=team) and asked.report.is_intact
    assert asked.report.evidence.question == demo.QUESTION
    assert asked.outdated == ""


def test_nothing_is_asked_where_every_baseline_was_replaced(team, alice, version, replaced):
    demo._workload(team, alice)
    demo._deployments(team, alice, {"digits-cnn": version})

    demo._request(team, alice)

    assert not Report.objects.exists() and not Approval.objects.exists()

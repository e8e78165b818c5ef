"""Deployments: who may state what, what ends what, and that nothing stated is rewritten."""

import pytest

from compressionhub.accounts.models import AuditEntry
from compressionhub.errors import Invalid, NotAllowed, WrongState
from compressionhub.estimates import actions as estimates
from compressionhub.estimates.forms import starting
from compressionhub.zoo import deploying
from compressionhub.zoo.models import Deployment
from tests.compressionhub.zoo.days import TODAY, ago


def test_a_later_deployment_of_the_same_workload_ends_the_earlier_one(record, version, entry):
    before = record(version, since=ago(60))

    after = record(entry, since=ago(10))

    before.refresh_from_db()
    assert (before.until, after.until) == (ago(10), None)
    assert list(Deployment.objects.running()) == [after]


def test_another_workload_goes_on_beside_it(record, version, entry, team, vera):
    other = estimates.create(team=team, by=vera, assumed=starting(slug="chat", author="Vera"))
    first = record(version)

    record(entry, workload=other)

    first.refresh_from_db()
    assert first.is_running


def test_two_never_serve_one_workload_at_a_time(record, version, entry):
    record(entry, since=ago(10))

    with pytest.raises(WrongState, match="lies within"):
        record(version, since=ago(20))
    past = record(version, since=ago(20), until=ago(10))

    assert past.until == ago(10)


def test_ended_on_its_first_day_it_never_served_and_stands_in_nobodys_way(record, version, entry, bob):
    mistaken = record(version, since=ago(5))
    deploying.end_deployment(deployment=mistaken, by=bob, until=ago(5))

    record(entry, since=ago(5))

    assert mistaken not in Deployment.objects.counted()


@pytest.mark.parametrize(
    "dates", [{"since": ago(-1)}, {"since": ago(3), "until": ago(-1)}, {"since": ago(3), "until": ago(4)}]
)
def test_days_ahead_or_backwards_are_refused(record, version, dates):
    with pytest.raises(Invalid):
        record(version, **dates)
    assert not Deployment.objects.exists()


@pytest.mark.parametrize("monthly", [-1.0, float("nan"), float("inf"), 1e16])
def test_traffic_that_is_no_number_of_predictions_is_refused(record, version, bob, monthly):
    with pytest.raises(Invalid):
        record(version, actual_monthly=monthly)
    made = record(version)
    with pytest.raises(Invalid):
        deploying.enter_traffic(deployment=made, by=bob, actual_monthly=monthly)


def test_what_is_another_teams_cannot_be_deployed(record, version, entry, charlie, other_team):
    foreign = estimates.create(team=other_team, by=charlie, assumed=starting(slug="chat", author="Charlie"))

    with pytest.raises(Invalid):
        record(version, workload=foreign)
    with pytest.raises(Invalid):
        record(entry, team=other_team, by=charlie, workload=foreign)


def test_a_viewer_may_not_state_it(record, version, vera):
    with pytest.raises(NotAllowed):
        record(version, by=vera)
    made = record(version)
    with pytest.raises(NotAllowed):
        deploying.end_deployment(deployment=made, by=vera, until=TODAY)
    with pytest.raises(NotAllowed):
        deploying.enter_traffic(deployment=made, by=vera, actual_monthly=1)


def test_a_change_of_the_workload_does_not_rewrite_what_was_stated(record, version, workload, vera):
    made = record(version)
    changed = workload.assumed.workload.model_copy(update={"predictions_per_month": 5.0})
    estimates.change(workload=workload, by=vera, assumed=workload.assumed.model_copy(update={"workload": changed}))

    made = Deployment.objects.get(pk=made.pk)

    assert made.assumed.workload.monthly == 1e9 and made.has_older_assumptions


def test_actual_traffic_takes_the_place_of_the_assumed_with_its_author(record, entry, bob):
    made = record(entry)

    deploying.enter_traffic(deployment=made, by=bob, actual_monthly=3e8)

    work = Deployment.objects.get(pk=made.pk).assumed.workload
    assert work.monthly == 3e8 and "Bob" in work.traffic()[0].author
    deploying.enter_traffic(deployment=made, by=bob, actual_monthly=None)
    assert Deployment.objects.get(pk=made.pk).assumed.workload.monthly == 1e9


def test_every_deed_is_in_the_audit_trail(record, entry, bob):
    made = record(entry)
    deploying.enter_traffic(deployment=made, by=bob, actual_monthly=7.0)
    deploying.end_deployment(deployment=made, by=bob, until=TODAY)

    found = {each.verb: each for each in AuditEntry.objects.filter(target_id=str(made.pk))}

    assert set(found) == {"deployment.record", "deployment.traffic", "deployment.end"}
    assert {each.by for each in found.values()} == {bob}
    assert found["deployment.traffic"].detail["actual_monthly"] == 7.0


def test_an_address_that_names_nothing_leads_to_the_models(client, bob):
    client.force_login(bob)

    answer = client.get("/deployments/record/", follow=True)

    assert answer.redirect_chain == [("/models/", 302)]
    assert "Choose the model that serves" in answer.content.decode()


def test_ended_is_ended(record, entry, bob):
    made = record(entry, until=TODAY)

    with pytest.raises(WrongState):
        deploying.end_deployment(deployment=made, by=bob, until=TODAY)


def test_recording_through_the_form_leads_to_the_deployment_and_into_both_histories(client, bob, workload, entry):
    client.force_login(bob)
    address = f"/deployments/record/?entry={entry.pk}"
    assert entry.name in client.get(address).content.decode()

    body = {
        "served": f"entry/{entry.pk}",
        "workload": str(workload.pk),
        "since": str(ago(3)),
        "actual_monthly": "2,000",
    }
    answer = client.post(address, body, follow=True)

    made = Deployment.objects.get()
    assert answer.redirect_chain[-1][0] == made.get_absolute_url() and made.actual_monthly == 2000
    for page in (entry.get_absolute_url(), entry.baseline.get_absolute_url()):
        assert made.get_absolute_url() in client.get(page).content.decode()


@pytest.mark.parametrize("change", [{"since": "yesterday"}, {"served": "entry/x"}, {"actual_monthly": "many"}])
def test_a_wrong_field_is_said_on_the_form_and_nothing_is_recorded(client, bob, workload, entry, change):
    client.force_login(bob)
    body = {"served": f"entry/{entry.pk}", "workload": str(workload.pk), "since": str(ago(3)), **change}

    answer = client.post(f"/deployments/record/?entry={entry.pk}", body)

    assert answer.status_code == 422 and not Deployment.objects.exists()


def test_a_stranger_finds_no_deployment(client, charlie, record, entry):
    made = record(entry)
    client.force_login(charlie)

    for address in (made.get_absolute_url(), f"/deployments/record/?entry={entry.pk}"):
        assert client.get(address).status_code == 404
    for act in ("end", "traffic"):
        assert client.post(f"{made.get_absolute_url()}{act}/").status_code == 404


def test_a_viewer_reads_the_deployment_and_is_offered_nothing(client, vera, record, entry):
    made = record(entry)
    client.force_login(vera)

    page = client.get(made.get_absolute_url()).content.decode()

    assert entry.name in page and "End deployment" not in page
    assert client.post(f"{made.get_absolute_url()}end/", {"until": str(TODAY)}).status_code == 403
    assert client.get(f"/deployments/record/?entry={entry.pk}").status_code == 403

"""The portfolio: sums of recorded deployments by the engine; realised and possible never added; gaps said as such."""

import calendar
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from compressionhub.estimates import actions as estimates
from compressionhub.estimates.assumptions import JobRates
from compressionhub.jobs.models import Job
from compressionhub.library import actions as library
from compressionhub.library.models import TrainedModel
from compressionhub.zoo import actions as zoo
from compressionhub.zoo import deploying, kept, overview, savings
from compressionhub.zoo.deployed import count
from compressionhub.zoo.models import Deployment, DeploymentFigures, Entry, Standing
from compressionhub.zoo.portfolio import portfolio
from tests.compressionhub.zoo.days import TODAY, ago
from tests.compressionhub.zoo.records import report_of
from workers.estimate import Grade
from workers.serving.workload import DAYS


@pytest.fixture
def slower(finished, adam):
    """Another listed variant of the same baseline, which takes 20 ms where the first takes 16."""
    other = zoo.publish(job=finished(), by=adam, name="digits-fp16")
    return measured_anew(other, 20.0)


def measured_anew(entry: Entry, mean_ms: float, *, device: str = "c6i-xlarge-1t") -> Entry:
    with report_of(entry) as told:
        told["environment"]["device"] = device
        told["baseline"]["service"] = {"workers": 4, "mean_ms": 40, "p95_ms": 46, "cv2": 0.05}
        told["result"]["service"] = {"workers": 4, "mean_ms": mean_ms, "p95_ms": mean_ms * 1.2, "cv2": 0.05}
    return Entry.objects.get(pk=entry.pk)


def another(team, by, workload, **changes):
    """A second workload, like the first but for some fields."""
    changed = workload.assumed.workload.model_copy(update=changes)
    return estimates.create(team=team, by=by, assumed=workload.assumed.model_copy(update={"workload": changed}))


def page_of(client, user) -> str:
    client.force_login(user)
    answer = client.get("/")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_what_serves_untouched_is_paid_and_the_best_variant_could_save(record, priced, workload, team, bob):
    record(priced.baseline)

    found = portfolio(team, bob, today=TODAY)

    alone = savings.savings(priced, workload.assumed)
    assert found.paid["bill"].value == pytest.approx(899.73, rel=1e-3)
    assert found.could.value == alone.bill.saved.value == pytest.approx(465.4, rel=1e-3)
    assert found.saved["bill"].value == 0
    assert found.best_entry is not None and found.best_entry.name == priced.name


def test_once_it_serves_the_saving_is_realised_and_no_longer_possible(record, priced, slower, team, bob):
    record(priced)

    found = portfolio(team, bob, today=TODAY)

    assert found.paid["bill"].value == pytest.approx(434.35, rel=1e-3)
    assert found.saved["bill"].value == pytest.approx(465.4, rel=1e-3)
    assert found.share.value == pytest.approx(0.517, abs=1e-3) and found.share.grade == Grade.MODELLED
    assert found.could.value == 0 and found.page("name", 1)[0].says == "best variant is live"


def test_a_better_variant_than_the_one_that_serves_is_compared_with_that_one(record, priced, slower, team, bob):
    record(slower)

    found = portfolio(team, bob, today=TODAY)

    paid, best = found.paid["bill"].value, 434.35
    assert found.could.value == pytest.approx(paid - best, rel=1e-3) and found.could.value > 0
    kept_as = DeploymentFigures.objects.get()
    could = kept.unpacked(kept_as.amounts)["bill.could"]
    assert any("serving now" in each.title for each in could.inputs)
    assert not any("baseline" in each.title for each in could.inputs)


def test_actual_traffic_decides_what_is_saved(record, priced, team, bob):
    made = record(priced)
    portfolio(team, bob, today=TODAY)

    deploying.enter_traffic(deployment=made, by=bob, actual_monthly=5e7)

    found = portfolio(team, bob, today=TODAY)
    assert found.saved["bill"].value == 0  # the floor of instances carries both
    assert "Bob" in str(kept.unpacked(DeploymentFigures.objects.get().amounts)["bill.paid"].inputs)


def test_the_floor_is_said_and_shown_as_zero_dollars(client, record, priced, workload, team, bob, vera):
    record(priced.baseline, actual_monthly=5e7)

    text = page_of(client, vera)

    assert "2 instances are the floor: waiting time only" in text and "$0" in text


def test_saved_so_far_is_the_saving_times_the_days_it_served(record, priced, team, bob):
    record(priced, since=ago(60), until=ago(30))

    found = portfolio(team, bob, today=TODAY)

    monthly = savings.savings(priced, found.usual.assumed).bill.saved.value
    assert found.saved_so_far.value == pytest.approx(monthly * 30 / DAYS)
    assert not found.running and found.paid["bill"].reason == "Nobody has recorded a deployment."


def test_sums_are_those_of_the_single_deployments_and_shares_are_weighted_by_bills(
    record, priced, workload, team, bob, vera
):
    small = another(team, vera, workload, name="Small", predictions_per_month=2e8)
    record(priced)
    record(priced, workload=small)

    found = portfolio(team, bob, today=TODAY)

    each = [savings.savings(priced, one.assumed).bill for one in (workload, small)]
    for whole, part in (
        (found.paid["bill"], "after"),
        (found.before["bill"], "before"),
        (found.saved["bill"], "saved"),
    ):
        for end in ("value", "low", "high"):
            assert getattr(whole, end) == pytest.approx(sum(getattr(getattr(one, part), end) for one in each))
    mean = sum(one.before.value * one.share.value for one in each) / sum(one.before.value for one in each)
    assert (
        found.share.value
        == pytest.approx(mean)
        == pytest.approx(found.saved["bill"].value / found.before["bill"].value)
    )


def test_what_is_not_known_is_left_out_and_said(client, record, priced, workload, team, bob, vera):
    record(priced)
    elsewhere = another(team, vera, workload, name="Another machine", instance="c7i.xlarge")
    record(priced, workload=elsewhere)

    found = portfolio(team, bob, today=TODAY)

    assert found.paid["bill"].value == pytest.approx(434.35, rel=1e-3)
    assert "1 of 2 are left out" in found.paid["bill"].reason
    assert "not known" in page_of(client, vera)


def test_figures_are_made_once_and_anew_when_a_variant_comes_or_goes(record, priced, slower, team, adam, bob):
    record(slower)
    portfolio(team, bob, today=TODAY)
    DeploymentFigures.objects.update(says="kept")
    assert portfolio(team, bob, today=TODAY).page("name", 1)[0].says == "kept"

    zoo.retire(entry=priced, by=adam, standing=Standing.WITHDRAWN, reason="no")

    assert portfolio(team, bob, today=TODAY).page("name", 1)[0].says == "best variant is live"


def test_other_tables_renew_what_runs_and_leave_what_has_ended(record, priced, team, bob):
    record(priced.baseline, since=ago(60))
    record(priced, since=ago(30))
    portfolio(team, bob, today=TODAY)
    DeploymentFigures.objects.update(made_from="other", says="kept")

    portfolio(team, bob, today=TODAY)

    assert sorted(DeploymentFigures.objects.values_list("says", flat=True)) == ["best variant is live", "kept"]


def test_what_is_kept_is_what_the_engine_says_now(record, priced, slower):
    made = record(slower)

    (row,), (counted,) = kept.keep([made]), count([made])
    assert kept.unpacked(row.amounts) == counted.amounts


def test_home_shows_rows_whose_figures_are_still_to_be_made(client, record, priced, vera, monkeypatch):
    record(priced)
    monkeypatch.setattr("compressionhub.zoo.portfolio.REFRESH_S", -1.0)

    waiting = page_of(client, vera)

    assert "The figures of 1 deployment are being computed" in waiting and priced.name in waiting
    monkeypatch.setattr("compressionhub.zoo.portfolio.REFRESH_S", 1.0)
    assert "being computed" not in page_of(client, vera)


def test_the_migration_reads_numbers_off_the_amounts(record, priced, workload, team, bob, vera):
    elsewhere = another(team, vera, workload, name="Another machine", instance="c7i.xlarge")
    made = kept.keep([record(priced), record(priced, workload=elsewhere)])
    migration = import_module("compressionhub.zoo.migrations.0006_figures_as_numbers")
    DeploymentFigures.objects.update(numbers=b"")

    migration.write(apps, None)

    assert {each.pk: bytes(each.numbers) for each in DeploymentFigures.objects.all()} == {
        each.pk: each.numbers for each in made
    }


def test_home_offers_what_could_be_published_among_the_newest_results(finished, adam, team, monkeypatch):
    older, newer = finished(), finished()
    assert overview.publishable(team, adam) == (newer, older)

    zoo.publish(job=newer, by=adam, name="newer")
    assert overview.publishable(team, adam) == (older,)

    monkeypatch.setattr(overview, "RECENT_RESULTS", 1)
    assert overview.publishable(team, adam) == ()


def test_many_asked_at_once_get_what_each_gets_alone(record, priced, slower, workload, team, bob, vera):
    elsewhere = another(team, vera, workload, name="Another machine", instance="c7i.xlarge")
    nowhere = another(team, vera, workload, name="No such machine", instance="c99.none")
    small = another(team, vera, workload, name="Small", predictions_per_month=2e8)
    made = [
        record(priced.baseline, since=ago(60)),
        record(slower),
        record(priced, workload=small, actual_monthly=3e8),
        record(priced, workload=elsewhere),
        record(priced, workload=nowhere),
    ]

    together = count(list(Deployment.objects.filter(pk__in=[each.pk for each in made])))

    alone = {each.pk: count([each])[0] for each in Deployment.objects.all()}
    assert together == [alone[each.pk] for each in Deployment.objects.all()]
    known = {each.amounts["bill.paid"].is_known for each in together}
    assert known == {True, False} and len({each.amounts["bill.paid"].value for each in together}) == 4


def test_what_compression_cost_is_known_with_rates_and_says_why_without(team, bob, priced, workload, vera):
    Job.objects.update(started_at=timezone.now() - timedelta(hours=2), finished_at=timezone.now())
    without = portfolio(team, bob, today=TODAY).spending
    assert not without.cost.is_known and "Type in $/h" in without.cost.reason and "meter" in without.energy.reason

    rates = JobRates(usd_per_hour=1.006, watts=300, author="Vera")
    estimates.change(workload=workload, by=vera, assumed=workload.assumed.model_copy(update={"job": rates}))

    found = portfolio(team, bob, today=TODAY).spending
    assert found.cost.value == pytest.approx(2.01, abs=0.005)  # ESTIMATES section 3: two hours at 300 W and $1.006
    assert found.energy.value == pytest.approx(0.69, abs=0.005)
    assert found.carbon.value == pytest.approx(0.265, abs=0.0005)


def test_the_trend_steps_where_deployments_begin(record, priced, team, bob):
    record(priced.baseline, since=ago(90))
    record(priced, since=ago(30))

    drawn = portfolio(team, bob, today=TODAY).trend

    paid = next(each for each in drawn.option["series"] if each["name"] == "Paid")["data"]
    assert [day for day, _ in paid] == [ago(90).isoformat(), ago(30).isoformat(), TODAY.isoformat()]
    assert [value for _, value in paid] == pytest.approx([899.73, 434.35, 434.35], rel=1e-3)
    whole = sum(month.paid for month in drawn.months)
    assert whole == pytest.approx(sum(value for value in _by_day(paid)), rel=1e-6)
    marks = drawn.option["series"][-2]["data"]
    assert [mark["value"][0] for mark in marks] == [ago(30).isoformat()] and marks[0]["name"] == "digits-cnn"


def _by_day(paid):
    """The bill of every single day: the month's, divided by the days of that month."""
    for at in range(91):
        day = ago(90 - at)
        monthly = [value for since, value in paid if since <= day.isoformat()][-1]
        yield monthly / calendar.monthrange(day.year, day.month)[1]


def test_without_a_deployment_the_page_says_what_to_do_and_what_was_measured(client, vera, entry):
    text = page_of(client, vera)

    assert "nobody has recorded a deployment" in text and "Describe one" in text and "74 %" in text
    assert "Spend now" not in text


def test_the_page_holds_the_sums_with_class_and_reason(client, record, priced, workload, vera):
    made = record(priced)

    text = page_of(client, vera)

    for said in ("$434", "51.7 %", "36.1 kWh", "15.2 kg", "$465"):
        assert said in text, said
    assert f'data-why-at="/deployments/{made.pk}/why/"' in text and 'data-asks="bill.paid"' in text
    assert 'id="why-spend"' in text


def test_why_a_figure_is_so_is_told_when_asked(client, vera, charlie, record, priced):
    made = record(priced)
    address = f"/deployments/{made.pk}/why/bill.paid/"
    client.force_login(vera)

    told = client.get(address).content.decode()

    assert "mean_h(N_h)" in told and "20 Jul 2026" in told and "chosen by Vera" in told
    assert client.get(f"/deployments/{made.pk}/why/bill.nonsense/").status_code == 404
    client.force_login(charlie)
    assert client.get(address).status_code == 404


def test_a_stranger_counts_none_of_it(client, charlie, record, priced, other_team):
    record(priced)

    text = page_of(client, charlie)

    assert "$434" not in text and priced.name not in text
    assert portfolio(other_team, charlie, today=TODAY).lines == ()


def test_a_baseline_that_only_a_job_measured_has_a_price(record, finished, team, bob, version, workload):
    job = finished()
    found = job.report
    found["environment"]["device"] = "c6i-xlarge-1t"
    found["baseline"]["service"] = {"workers": 4, "mean_ms": 40, "p95_ms": 46, "cv2": 0.05}
    Job.objects.filter(pk=job.pk).update(report=found)

    (made,) = count([record(version)])

    assert made.amounts["bill.paid"].value == pytest.approx(899.73, rel=1e-3)
    assert made.amounts["bill.could"].reason == "No variant of it is listed in the zoo."


def test_what_nobody_measured_is_not_known_and_says_what_helps(record, version):
    (made,) = count([record(version)])

    assert "One job on it measures the baseline too" in made.amounts["bill.paid"].reason


@pytest.mark.parametrize("query", ["order=x", "page=-1", "page=999", "page=%00", "order=spend&page=1"])
def test_odd_queries_do_not_break_home(client, vera, record, priced, query):
    record(priced)
    client.force_login(vera)

    assert client.get(f"/?{query}").status_code == 200


def test_figures_come_with_the_first_measurement_of_a_baseline(record, version, dataset, entry, team, bob):
    made = record(version)
    portfolio(team, bob, today=TODAY)
    assert DeploymentFigures.objects.filter(pk=made.pk).exists()

    library.record_measurement(version=version, measured=entry.record.report.baseline, dataset=dataset, device="any")

    assert not DeploymentFigures.objects.filter(pk=made.pk).exists()


def test_a_meter_goes_before_hours_and_watts(team, bob, priced, finished, workload, vera):
    rates = JobRates(usd_per_hour=1, watts=300, author="Vera")
    estimates.change(workload=workload, by=vera, assumed=workload.assumed.model_copy(update={"job": rates}))
    job = finished()
    read = {"meter": "RAPL", "gross_wh": 500.0, "net_wh": None, "seconds": 7200.0, "shared": False}
    Job.objects.filter(pk=job.pk).update(report={**job.report, "energy": read})
    Job.objects.update(started_at=timezone.now() - timedelta(hours=2), finished_at=timezone.now())

    found = portfolio(team, bob, today=TODAY).spending

    assert (found.jobs, found.metered) == (2, 1)
    assert found.energy.value == pytest.approx((0.5 + 0.6) * 1.15, rel=1e-3)  # metered, and two hours at 300 W
    assert found.cost.value == pytest.approx(4.0, rel=1e-3)
    titles = [each.title for each in found.energy.inputs]
    assert titles == ["1 job without a meter", "1 job with a meter"]


def test_hours_of_jobs_follow_those_that_end_later_and_those_that_are_gone(team, bob, finished):
    def lasting(hours: float) -> Job:
        job = finished()
        began = timezone.now() - timedelta(hours=3)
        Job.objects.filter(pk=job.pk).update(started_at=began, finished_at=began + timedelta(hours=hours))
        return job

    def told() -> tuple[int, float]:
        found = portfolio(team, bob, today=TODAY).spending
        return found.jobs, found.hours

    first = lasting(1)
    assert told() == (1, pytest.approx(1))
    lasting(2)
    lasting(0.5)  # ended before the one that was read last
    assert told() == (3, pytest.approx(3.5))

    first.delete()

    assert told() == (2, pytest.approx(2.5))


def test_home_asks_no_more_of_many_models_than_of_one_and_reads_no_record_twice(
    client, vera, record, priced, finished, adam, team
):
    record(priced.baseline)
    page_of(client, vera)
    with CaptureQueriesContext(connection) as one:
        page_of(client, vera)
    TrainedModel.objects.bulk_create(TrainedModel(team=team, name=f"more-{at}") for at in range(30))
    for at in range(3):
        zoo.publish(job=finished(), by=adam, name=f"variant-{at}")
    page_of(client, vera)

    with CaptureQueriesContext(connection) as many:
        page_of(client, vera)

    assert len(many) == len(one)
    assert not any("record_json" in each["sql"] for each in many), "records that were read already were read again"

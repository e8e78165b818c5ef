import pytest

from compressionhub.accounts.models import AuditEntry
from compressionhub.errors import Invalid, NotAllowed, WrongState
from compressionhub.jobs.gate import Gate
from compressionhub.zoo import actions
from compressionhub.zoo.actions import GateNotPassed
from compressionhub.zoo.models import Entry, FrozenEntry, Standing


def test_an_admin_publishes_what_passes_its_gate(finished, adam):
    job = finished(drop=0.004)

    entry = actions.publish(job=job, by=adam, name="digits-int8")

    assert Entry.objects.listed().get() == entry
    assert entry.drop_points == pytest.approx(0.4)
    assert entry.size_ratio == pytest.approx(1_400_000 / 360_000)
    assert entry.record.bundle.sha256 == job.artifacts.get(name="bundle.zip").sha256
    assert AuditEntry.objects.filter(verb="entry.publish", by=adam, target_id=str(entry.pk)).exists()


def test_an_engineer_may_not_publish(finished, bob):
    job = finished()

    with pytest.raises(NotAllowed):
        actions.publish(job=job, by=bob, name="digits-int8")

    assert not Entry.objects.exists()


def test_a_result_beyond_its_gate_is_never_listed(finished, adam):
    job = finished(drop=0.011)

    with pytest.raises(GateNotPassed, match="accuracy"):
        actions.publish(job=job, by=adam, name="digits-int8")

    assert not Entry.objects.exists()


def test_a_strict_gate_takes_the_bad_end_of_the_interval(finished, adam):
    within = {"drop": 0.004, "worst": 0.012}

    with pytest.raises(GateNotPassed):
        actions.publish(job=finished(gate=Gate(strict=True), **within), by=adam, name="strict")
    entry = actions.publish(job=finished(gate=Gate(strict=False), **within), by=adam, name="lenient")

    assert entry.record.gate_result.at_risk


def test_a_result_without_a_verdict_is_not_published(finished, adam):
    job = finished(word=None)

    with pytest.raises(WrongState, match="too noisy"):
        actions.publish(job=job, by=adam, name="digits-int8")


def test_a_job_is_published_once(finished, adam):
    job = finished()
    actions.publish(job=job, by=adam, name="first")

    with pytest.raises(WrongState):
        actions.publish(job=job, by=adam, name="second")


def test_two_listed_entries_cannot_share_a_name(entry, finished, adam):
    with pytest.raises(Invalid, match="listed already"):
        actions.publish(job=finished(), by=adam, name=entry.name)


def test_a_new_entry_supersedes_an_old_one_under_the_same_name(entry, finished, adam):
    fresh = actions.publish(job=finished(), by=adam, name=entry.name, supersedes=entry)

    entry.refresh_from_db()
    assert (entry.standing, entry.superseded_by) == (Standing.SUPERSEDED, fresh)
    assert list(Entry.objects.listed()) == [fresh]


def test_an_entry_is_never_edited(entry):
    entry.drop_points = 0.0

    with pytest.raises(FrozenEntry):
        entry.save()
    with pytest.raises(FrozenEntry):
        entry.save(update_fields=["drop_points"])


def test_withdrawing_takes_it_off_the_list_and_keeps_the_page(entry, adam, bob, client):
    actions.retire(entry=entry, by=adam, standing=Standing.WITHDRAWN, reason="wrong labels")
    client.force_login(bob)

    page = client.get(entry.get_absolute_url())

    assert not Entry.objects.listed().exists()
    assert "wrong labels" in page.content.decode()


def test_the_record_outlives_the_job(entry, version):
    version.model.delete()

    fresh = Entry.objects.get(pk=entry.pk)

    assert fresh.job is None
    assert fresh.record.origin.model == "digits-cnn"

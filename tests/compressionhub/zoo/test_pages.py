import pytest
from django.core import signing

from compressionhub.accounts.models import AuditEntry
from compressionhub.jobs.models import Job
from compressionhub.zoo import actions
from compressionhub.zoo.models import Visibility
from workers.alike import OtherModel
from workers.report import WindowTimes


@pytest.mark.parametrize("name", ["alice", "adam", "bob", "vera"])
def test_the_team_reads_its_entry(cast, entry, client, name):
    client.force_login(cast[name])

    page = client.get(entry.get_absolute_url())

    assert page.status_code == 200
    assert "digits-int8" in page.content.decode()


def test_a_stranger_cannot_see_that_an_entry_exists(charlie, entry, client):
    client.force_login(charlie)

    assert client.get(entry.get_absolute_url()).status_code == 404
    assert "digits-int8" not in client.get("/zoo/").content.decode()


def test_an_entry_for_everyone_is_seen_by_a_stranger_without_links_into_the_team(charlie, finished, adam, client):
    entry = actions.publish(job=finished(), by=adam, name="open-int8", visibility=Visibility.EVERYONE)
    client.force_login(charlie)

    page = client.get(entry.get_absolute_url()).content.decode()

    assert "open-int8" in page
    assert f"/jobs/{entry.job_id}" not in page


def test_a_download_is_audited_with_the_person_and_gives_the_stored_bytes(bob, entry, client):
    client.force_login(bob)

    answer = client.post(f"/zoo/{entry.pk}/download/", follow=True)

    assert b"".join(answer.streaming_content) == b"a bundle1"
    assert 'filename="digits-int8-bundle.zip"' in answer["Content-Disposition"]
    assert AuditEntry.objects.get(verb="entry.download").by == bob


def test_a_viewer_may_not_download(vera, entry, client):
    client.force_login(vera)

    assert client.post(f"/zoo/{entry.pk}/download/").status_code == 403


def test_a_download_link_dies_after_five_minutes(bob, entry, client, monkeypatch):
    token = actions.link_to(by=bob, entry=entry)
    later = signing.time.time() + actions.LINK_SECONDS + 1
    monkeypatch.setattr(signing.time, "time", lambda: later)

    assert client.get(f"/zoo/file/{token}/x.zip").status_code == 409


def test_a_forged_link_is_refused(entry, client):
    token = signing.dumps({"entry": str(entry.pk), "file": "bundle.zip"}, salt="another")

    assert client.get(f"/zoo/file/{token}/x.zip").status_code == 409


def test_the_list_filters_and_counts_what_each_filter_would_leave(adam, finished, client):
    actions.publish(job=finished(speedup=2.0), by=adam, name="quick")
    actions.publish(job=finished(speedup=1.0, word="smaller-only"), by=adam, name="small")
    client.force_login(adam)

    page = client.get("/zoo/?verdict=smaller-only", headers={"HX-Request": "true"}).content.decode()

    assert ">small<" in page and ">quick<" not in page


def test_a_filter_that_finds_nothing_names_the_nearest_miss(adam, entry, client):
    client.force_login(adam)

    page = client.get("/zoo/?verdict=slower").content.decode()

    assert "1 variant would match without the filter on verdict" in page
    assert "Clear filters" in page


@pytest.mark.parametrize(
    "query",
    [
        "page=99999999999999999999",
        "page=-1",
        "order=nonsense",
        "verdict=%00",
        "q=%3Cscript%3E",
        "page=x",
        "page=%C2%B2",
    ],
)
def test_odd_queries_do_not_break_the_list(adam, entry, client, query):
    client.force_login(adam)

    answer = client.get(f"/zoo/?{query}")

    assert answer.status_code == 200
    assert "<script>" not in answer.content.decode().split("<main")[1].split("application/json")[0]


def test_home_says_what_was_saved(adam, entry, client):
    client.force_login(adam)

    page = client.get("/").content.decode()

    assert "74 %" in page  # 1 - 360,000 / 1,400,000
    assert "2.00×" in page


def test_publishing_through_the_page_leads_to_the_entry(adam, finished, client):
    job = finished()
    client.force_login(adam)

    form = client.get(f"/zoo/publish/{job.pk}/").content.decode()
    answer = client.post(
        f"/zoo/publish/{job.pk}/", {"name": "mine", "summary": "", "visibility": "team", "supersedes": ""}, follow=True
    )

    assert "digits-cnn-static-int8" in form
    assert "mine" in answer.content.decode()


def test_nobody_is_led_to_a_page_that_is_closed_to_them(client, vera, bob, version):
    client.force_login(vera)
    seen_by_viewer = client.get("/").content.decode() + client.get("/zoo/").content.decode()
    client.force_login(bob)
    seen_by_engineer = client.get("/").content.decode()

    assert "/jobs/new/" not in seen_by_viewer
    assert "/jobs/new/" in seen_by_engineer


def test_an_entry_of_a_language_model_says_what_its_times_are_of(bob, adam, finished, client):
    job = finished()
    said = job.report_value
    sides = {side: getattr(said, side).model_copy(update={"past_tokens": 64}) for side in ("baseline", "result")}
    times = {side: one.latency["1"] for side, one in sides.items()}
    window = WindowTimes(tokens=256, speedup=said.delta.speedup["1"], **times)
    job.report = said.model_copy(update={**sides, "window": window}).model_dump(mode="json")
    job.save()
    entry = actions.publish(job=Job.objects.get(pk=job.pk), by=adam, name="writer-int8", summary="Writes on.")
    client.force_login(bob)

    page = client.get(entry.get_absolute_url()).content.decode()

    assert "Next token, batch 1" in page and "after 64 earlier tokens" in page and "Latency, batch 1" not in page
    assert "10,000 tokens/s" in page and "next token, batch 1" in page
    assert "Whole window, batch 1" in page and "256 tokens at once" in page


def test_an_entry_says_whose_layers_it_has(finished, adam, bob, client):
    job = finished()
    other = OtherModel(name="5f0c", file="digits-tiny.onnx", sha256="57" * 32)
    job.report = job.report_value.model_copy(update={"others": (other,)}).model_dump(mode="json")
    job.save()
    entry = actions.publish(job=Job.objects.get(pk=job.pk), by=adam, name="tiny-int8", summary="Taught.")
    client.force_login(bob)

    page = client.get(entry.get_absolute_url()).content.decode()

    assert "<dt>Student</dt><dd>digits-tiny.onnx, sha256" in page and "57575757…" in page
    assert "The student came from digits-tiny.onnx" in client.get(job.get_absolute_url()).content.decode()

"""What machines ask the site."""

import pytest

from compressionhub.fleet.models import RelayState

pytestmark = pytest.mark.django_db


def test_health_needs_no_sign_in(client):
    response = client.get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_metrics_name_the_delay_of_the_relay_and_every_job_state(client):
    RelayState.objects.create(delay_ms=17)

    text = client.get("/metrics").content.decode()

    assert "hub_relay_delay_ms 17.0" in text
    assert 'hub_jobs{state="queued"} 0.0' in text


def test_metrics_are_not_told_to_another_machine(client):
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.7").status_code == 404
    assert client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 404


def test_metrics_are_told_to_whoever_has_the_token(client, settings):
    settings.METRICS_TOKEN = "s3cret"

    right = client.get("/metrics", REMOTE_ADDR="192.0.2.7", headers={"Authorization": "Bearer s3cret"})
    wrong = client.get("/metrics", headers={"Authorization": "Bearer other"})

    assert (right.status_code, wrong.status_code) == (200, 404)


def test_every_page_forbids_inline_scripts_and_foreign_sources(client):
    policy = client.get("/sign-in/").headers["Content-Security-Policy"]

    assert "script-src 'self';" in policy + ";"
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy


def test_an_unknown_host_is_refused(client):
    assert client.get("/healthz", headers={"host": "evil.example"}).status_code == 400

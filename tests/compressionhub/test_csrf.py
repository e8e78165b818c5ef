"""Another site's form changes nothing, and whoever filled it in is told what to do."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("address", ["/sign-out/", "/team/people/", "/jobs/new/", "/uploads/", "/account/password/"])
def test_a_form_without_the_pages_secret_is_refused_in_our_words(alice, address):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)

    answer = client.post(address, {"name": "x"})

    assert answer.status_code == 403
    assert "out of date" in answer.content.decode()
    assert client.get("/account/").status_code == 200  # still signed in


def test_a_session_does_not_change_anything_through_the_api_without_the_secret(alice):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)

    assert client.post("/api/v1/jobs", "{}", content_type="application/json").status_code == 403

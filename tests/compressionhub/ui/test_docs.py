"""Every technique has a page, made from its class."""

import pytest

from compressionhub.ui import docs
from workers.recipe import parse, techniques

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("slug", techniques())
def test_the_page_tells_title_source_and_every_parameter(client, vera, slug):
    client.force_login(vera)

    page = client.get(f"/docs/techniques/{slug}/").content.decode()

    kind = techniques()[slug]
    assert f"<h1>{kind.about.title}" in page
    assert all(f'mono">{name}<' in page for name in kind.model_fields if name != "technique")


@pytest.mark.parametrize("slug", techniques())
def test_the_example_on_the_page_is_a_recipe_that_can_be_read(slug):
    kind = techniques()[slug]

    assert parse(docs.example(kind)).steps[0] == kind(technique=slug)


@pytest.mark.parametrize("slug", techniques())
def test_a_technique_says_where_it_is_from_and_every_parameter_explains_itself(slug):
    kind = techniques()[slug]

    assert kind.about.source
    assert docs.card(kind)["paragraphs"]
    assert all(item.title != item.name and item.description for item in docs.parameters(kind))


def test_the_list_leads_to_every_page(client, vera):
    client.force_login(vera)

    page = client.get("/docs/techniques/").content.decode()

    assert all(f"/docs/techniques/{slug}/" in page for slug in techniques())


def test_an_unknown_technique_is_not_found(client, vera):
    client.force_login(vera)

    assert client.get("/docs/techniques/no-such-thing/").status_code == 404


def test_the_pages_are_for_people_who_are_signed_in(client, db):
    assert client.get("/docs/techniques/").status_code == 302

import pytest
from django.test import RequestFactory
from django.urls import path

from compressionhub.ui import navigation
from compressionhub.ui.navigation import Place


def view(request):
    raise NotImplementedError


urlpatterns = [path("", view, name="home"), path("jobs/", view, name="jobs"), path("jobs/new/", view, name="new")]


@pytest.fixture(autouse=True)
def places(monkeypatch, settings):
    settings.ROOT_URLCONF = __name__
    monkeypatch.setattr(navigation, "_places", {})
    navigation.register(Place("Jobs", "list-check", "jobs", 4, count=lambda request: 0))
    navigation.register(Place("Home", "home", "home", 1))
    navigation.register(Place("New", "plus", "new", 5, count=lambda request: "1 running"))


def current(address: str) -> list[str]:
    return [place.label for place in navigation.shown(RequestFactory().get(address)) if place.current]


@pytest.mark.parametrize(
    ("address", "label"), [("/", ["Home"]), ("/jobs/7/", ["Jobs"]), ("/jobs/new/", ["New"]), ("/elsewhere/", [])]
)
def test_the_place_with_the_longest_matching_address_is_current(address, label):
    assert current(address) == label


def test_places_come_in_order_and_a_count_of_zero_is_not_shown():
    shown = navigation.shown(RequestFactory().get("/"))

    assert [(place.label, place.count) for place in shown] == [("Home", ""), ("Jobs", ""), ("New", "1 running")]


def test_registering_a_page_again_replaces_its_place():
    navigation.register(Place("Start", "home", "home", 1))

    assert [place.label for place in navigation.shown(RequestFactory().get("/"))] == ["Start", "Jobs", "New"]

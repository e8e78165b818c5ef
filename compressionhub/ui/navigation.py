"""The places of the side bar. Each app names its own when it starts; a place appears once its page exists."""

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

Count = Callable[[HttpRequest], str | int | None]


@dataclass(frozen=True)
class Place:
    """One entry of the navigation.

    ``count`` says what stands small beside the label, for example ``1 running``; nothing where it
    returns None or "". ``group`` is "" for the main places or the heading they stand under.
    ``phone`` puts the place into the bar at the bottom of a phone; the others are behind *More*.
    """

    label: str
    icon: str
    url_name: str
    order: int
    count: Count | None = None
    group: str = ""
    phone: bool = False


@dataclass(frozen=True)
class Shown:
    """A place as one visitor sees it now."""

    label: str
    icon: str
    url: str
    count: str
    group: str
    phone: bool
    current: bool


_places: dict[str, Place] = {}


def register(place: Place) -> None:
    """Add a place. Registering a page again replaces its place, so that app loading may repeat."""
    _places[place.url_name] = place


def shown(request: HttpRequest) -> list[Shown]:
    """The places in order; the one whose address is the longest beginning of this page's is current."""
    places = sorted(_places.values(), key=lambda item: (item.group, item.order))
    ordered = [(place, reverse(place.url_name)) for place in places]
    current = max((url for _, url in ordered if _leads_to(url, request.path)), key=len, default="")
    return [_show(place, url, request, current=url == current) for place, url in ordered]


def _leads_to(url: str, path: str) -> bool:
    return path == url if url == "/" else path.startswith(url)


def _show(place: Place, url: str, request: HttpRequest, *, current: bool) -> Shown:
    said = place.count(request) if place.count else None
    return Shown(
        label=place.label,
        icon=place.icon,
        url=url,
        count="" if said in (None, "", 0) else str(said),
        group=place.group,
        phone=place.phone,
        current=current,
    )

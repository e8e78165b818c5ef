"""Every page a visitor can reach: axe-core finds no serious fault, nothing breaks the content security policy.

The walk starts at home and follows links, so a new page is covered as soon as something leads to it. It runs
after the newcomer's journey, on the same site, and then finds a model, a job and an entry as well.
"""

import re
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from tests.journeys.conftest import Site

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
LEAVE_OUT = re.compile(r"^/(api|static|ws|metrics|healthz|sign-out)|\.(json|txt|csv)$|/download/")
ALWAYS_THERE = {
    "/", "/models/", "/datasets/", "/jobs/", "/jobs/new/", "/zoo/", "/fleet/", "/fleet/devices/", "/team/", "/account/",
    "/docs/techniques/",
}  # fmt: skip
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
MOST_OF_A_KIND = 2
# The attribute, because a link inside a drawing has an object for its address.
LINKS = "links => links.map(link => new URL(link.getAttribute('href'), location).href)"


def kind_of(path: str) -> str:
    """The route of a path: identifiers do not make a page another one."""
    plain = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+", "*", path)
    return re.sub(r"/(docs/techniques|fleet/devices)/[^/]+/", r"/\1/*/", plain)


def walk(page: Page, site: Site) -> Iterator[str]:
    """The paths that links lead to, at most a few of each kind, in the order in which they were found."""
    waiting, seen, counted = deque(["/"]), {"/"}, Counter[str]()
    while waiting:
        path = waiting.popleft()
        kind = kind_of(path)
        counted[kind] += 1
        if counted[kind] > MOST_OF_A_KIND:
            continue
        page.goto(site.url + path)
        yield path
        for href in page.eval_on_selector_all("a[href]", LINKS):
            parts = urlsplit(href)
            if href.startswith(site.url + "/") and parts.path not in seen and not LEAVE_OUT.search(parts.path):
                seen.add(parts.path)
                waiting.append(parts.path)


def faults(page: Page) -> list[str]:
    """What axe-core calls moderate or worse. It is put in past the policy, which would rightly stop it."""
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": AXE.read_text()})
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [
        f"{one['id']}: {[node['target'][0] for node in one['nodes']][:3]}"
        for one in found
        if one["impact"] in ("moderate", "serious", "critical")
    ]


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide-light", "phone-dark"])
def test_every_page_is_accessible_fits_its_screen_and_keeps_the_policy(
    signed_in: Page, site: Site, complaints: list[str], size: dict[str, int], theme: str
) -> None:
    page = signed_in
    page.set_viewport_size(size)  # type: ignore[arg-type]
    page.evaluate(f"localStorage.setItem('theme', '{theme}')")
    found: dict[str, list[str]] = {}
    wide: dict[str, int] = {}

    for path in walk(page, site):
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.dataset.bsTheme") == theme
        found[path] = faults(page)
        wide[path] = page.evaluate("document.documentElement.scrollWidth - innerWidth")

    assert found.keys() >= ALWAYS_THERE
    assert {path: serious for path, serious in found.items() if serious} == {}
    assert {path: excess for path, excess in wide.items() if excess > 0} == {}
    assert not complaints


def test_an_address_that_does_not_exist_says_so_and_leads_home(signed_in: Page, site: Site) -> None:
    page = signed_in

    answer = page.goto(site.url + "/jobs/00000000-0000-0000-0000-000000000000/")

    assert answer and answer.status == 404
    assert page.get_by_role("heading", name="This page does not exist, or is not yours to see").is_visible()
    assert faults(page) == []
    page.get_by_role("link", name="Go to Home").click()
    assert urlsplit(page.url).path == "/"


def test_the_theme_is_switched_and_kept(signed_in: Page, site: Site) -> None:
    page = signed_in
    page.goto(site.url + "/jobs/")
    before = page.evaluate("document.documentElement.dataset.bsTheme")

    page.locator(".side [data-theme-toggle]").click()
    page.goto(site.url + "/zoo/")

    assert page.evaluate("document.documentElement.dataset.bsTheme") != before


def test_the_keyboard_reaches_the_content_first(signed_in: Page, site: Site) -> None:
    page = signed_in
    page.goto(site.url + "/models/")

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "main"

"""Compare in a real browser: the script ranks and words as the server does, and shows figures it was given."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from compressionhub.site.bench.variants import fill
from compressionhub.zoo.compare.evidence import forget
from tests.compressionhub.conftest import alice, hub_folders, person, team
from tests.journeys.conftest import enter

MOVED = """(one, at) => {
  one.value = at;
  for (const name of ["input", "change"]) one.dispatchEvent(new Event(name, { bubbles: true }));
}"""
COMPARED = "void (window.compared = new Promise((done) => document.addEventListener('hub:compared', () => done())))"
__all__ = ["alice", "hub_folders", "person", "team"]

# Places of the sliders, from left to right, and the order; the last number of a slider is no limit.
SETTINGS = (
    {"loss": 3}, {"loss": 8, "p95": 10}, {"bill": 6, "order": "safest"}, {"kg": 20, "bill": 40, "order": "fastest"},
    {"loss": 0, "p95": 0}, {"loss": 30, "order": "smallest"}, {"order": "waits"},
)  # fmt: skip


@pytest.fixture
def compared(page: Page, live_server: Any, alice: Any, complaints: list[str]) -> Iterator[tuple[Page, Client]]:
    """Sixty invented variants of three models on Alice's screen, and her second way to ask for the same page."""
    fill(variants=60, models=3)
    forget()
    client = enter(page, live_server.url, alice)
    page.goto(f"{live_server.url}/compare/")
    page.wait_for_selector("#compare-scatter canvas")
    yield page, client
    assert complaints == []


def on_screen(page: Page) -> tuple[list[str], list[str], str]:
    """The names in their order, what each is said to be over, and the sentence."""
    rows = page.locator("[data-rows]")
    return (
        rows.locator("[data-name]").all_inner_texts(),
        rows.locator("[data-fit]").all_inner_texts(),
        page.locator("[data-sentence]").inner_text(),
    )


def from_server(client: Client, query: str) -> tuple[list[str], list[str], str]:
    """The same as the server draws it for the page's address, without any script."""
    markup = client.get(f"/compare/{query}").content.decode()
    body = markup.split("data-rows>")[1].split("</tbody>")[0]
    found = (re.findall(rf"data-{name}>([^<]+)<", body) for name in ("name", "fit"))
    sentence = re.search("data-sentence>([^<]+)<", markup)
    assert sentence
    return (*(list(map(html.unescape, each)) for each in found), html.unescape(sentence[1]))  # type: ignore[return-value]


def put(page: Page, setting: dict[str, Any]) -> None:
    """Move sliders and choose an order, as their events tell the page."""
    for key, at in setting.items():
        field = "#order" if key == "order" else f"#limit-{key}"
        page.locator(field).evaluate(MOVED, at)


def query_of(page: Page) -> str:
    return "?" + page.url.partition("?")[2]


def test_the_script_ranks_as_the_server_does_and_the_address_brings_it_back(
    compared: tuple[Page, Client],
) -> None:
    page, client = compared
    assert on_screen(page) == from_server(client, "")

    for setting in SETTINGS:
        put(page, setting)
        assert on_screen(page) == from_server(client, query_of(page)), setting

    before, query = on_screen(page), query_of(page)
    page.reload()
    assert query_of(page) == query and on_screen(page) == before


def test_a_slider_moves_by_keyboard_and_tells_its_value_and_its_consequence(compared: tuple[Page, Client]) -> None:
    page, _ = compared
    slider = page.get_by_label("Accuracy loss at most")
    before = slider.get_attribute("aria-valuetext")

    slider.focus()
    page.keyboard.press("Home")

    assert before == "1 point" and slider.get_attribute("aria-valuetext") == "0 points"
    expect(page.locator("[data-announce]")).to_have_text(page.locator("[data-sentence]").inner_text())
    assert page.locator("tr.out .rb .dot").count() and page.locator("tr.out [data-fit]").first.inner_text() == (
        "over accuracy limit"
    )


def test_a_changed_assumption_shows_the_servers_figures(compared: tuple[Page, Client]) -> None:
    page, client = compared
    page.get_by_text("Workload: Retail camera").click()
    page.evaluate(COMPARED)

    page.get_by_label("Predictions a month").fill("120000000")
    page.evaluate("window.compared")

    assert "volume=120000000" in page.url
    assert "at 120 M predictions a month" in page.locator("#compare-says").inner_text()
    rows = {row["id"]: row for row in json.loads(client.get(f"/compare/figures/{query_of(page)}").content)["rows"]}
    assert on_screen(page) == from_server(client, query_of(page))
    for line in page.locator("[data-rows] tr").all()[:5]:
        row = rows[line.get_attribute("data-row") or ""]
        for key in ("p95", "bill", "kg"):
            assert line.locator(f"[data-cell={key}] [data-figure]").inner_text() == row["texts"][key][0]


def test_a_pressed_class_tells_of_the_row_that_stands_there_now(compared: tuple[Page, Client]) -> None:
    page, _ = compared
    page.locator("#order").select_option("smallest")
    line = page.locator("[data-rows] tr").first
    figure = line.locator("[data-cell=bill] [data-figure]").inner_text()

    line.locator("[data-cell=bill] .why").click()

    popover = page.locator("#asked-pop")
    expect(popover).to_contain_text(f"Bill a month: {figure}")
    expect(popover.locator(".formula").first).to_contain_text("mean_h(N_h)")
    popover.get_by_role("button", name="Close").click()
    expect(popover).to_be_hidden()
    line.locator("[data-cell=size] .why").click()
    expect(popover).to_contain_text("counted from the file")


def test_what_is_chosen_in_the_zoo_is_compared_though_filters_change(compared: tuple[Page, Client]) -> None:
    page, _ = compared
    page.goto(page.url.partition("/compare/")[0] + "/zoo/")
    names = page.locator("input[form=pick] + a").all_inner_texts()[:2]
    for name in names:
        page.get_by_label(f"Compare {name}", exact=True).check()
    page.get_by_label("smaller only").check()
    expect(page.locator(f"input[aria-label='Compare {names[0]}']")).to_have_count(0)

    page.get_by_role("button", name="Compare 2 selected").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 2 variants")
    assert sorted(on_screen(page)[0]) == sorted(names)

"""The page of a running job: pushed while the socket lives, right again after it was cut, and after a reload."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.journeys.conftest import Site
from tests.journeys.test_newcomer import JOB_WITHIN_MS, files, upload

__all__ = ["files"]


@pytest.fixture
def prepared(signed_in: Page, site: Site, files: tuple[Path, Path]) -> Page:
    """A page of somebody who has a confirmed model and data; those of an earlier journey serve as well."""
    page = signed_in
    model, data = (file.rename(file.with_name(f"live {file.name}")) for file in files)
    page.goto(f"{site.url}/jobs/new/")
    if page.locator("#input-checks .bad").count() or page.get_by_text("no verified").count():
        page.goto(f"{site.url}/datasets/")
        upload(page, "Upload dataset", data)
        page.goto(f"{site.url}/models/")
        upload(page, "Upload model", model)
        page.get_by_role("button", name="Try ten samples").click()
        expect(page.get_by_text(re.compile(r"\d % right"))).to_be_visible(timeout=JOB_WITHIN_MS)
        page.get_by_role("button", name="Confirm contract").click()
        expect(page.get_by_text("Confirmed by")).to_be_visible()
        page.goto(f"{site.url}/jobs/new/")
    return page


def submit(page: Page) -> None:
    page.get_by_role("button", name=re.compile("Smallest file")).click()
    expect(page.get_by_role("button", name="Submit job")).to_be_enabled()
    page.get_by_role("button", name="Submit job").click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}/"))


def log_lines(page: Page) -> list[str]:
    """The lines on the page without time and step, oldest first."""
    lines = page.locator("#job-log .line").all_inner_texts()
    return [re.sub(r"^[0-9:]+ +(step \d+ +)?", "", line).strip() for line in reversed(lines)]


def log_file(page: Page) -> list[str]:
    """The same lines as the server has them."""
    text = page.request.get(page.url + "log.txt").text()
    return [re.sub(r"^\S+ \S+ ", "", line).strip() for line in text.splitlines() if line.strip()]


def cut_often(page: Page) -> list[str]:
    """Cut the first three sockets of the page after two messages each; gives the addresses as they are opened."""
    opened: list[str] = []

    def carry(route: WebSocketRoute) -> None:
        opened.append(route.url)
        server, lives, passed = route.connect_to_server(), len(opened) > 3, [0]

        def on_message(message: str | bytes) -> None:
            route.send(message)
            passed[0] += 1
            if not lives and passed[0] == 2:
                route.close(code=1012, reason="cut by the test")

        server.on_message(on_message)

    page.route_web_socket(re.compile("/ws/jobs/"), carry)
    return opened


def test_a_cut_socket_loses_no_event_and_repeats_none(prepared: Page, complaints: list[str]) -> None:
    page = prepared
    opened = cut_often(page)
    # The page may not ask for itself again: what stands on it then came through the sockets alone.
    page.route(
        re.compile(r"/jobs/[0-9a-f-]{36}/$"),
        lambda route: route.abort() if route.request.headers.get("hx-request") else route.continue_(),
    )

    submit(page)
    expect(page.locator("#job")).to_have_attribute("data-state", "succeeded", timeout=JOB_WITHIN_MS)

    # A quick job may end before the third cut; one is enough to lose or repeat something.
    assert len(opened) >= 2
    assert int(opened[1].rsplit("=", 1)[1]) > 0
    assert log_lines(page) == log_file(page) != []
    expect(page.locator("#job-steps .step:not(.done)")).to_have_count(0)
    assert [line for line in complaints if "ERR_FAILED" not in line] == []


def test_the_page_of_an_ended_job_comes_up_whole_after_a_reload(prepared: Page, complaints: list[str]) -> None:
    page = prepared
    submit(page)
    page.wait_for_selector("#job-log .line")
    page.reload()

    expect(page.get_by_role("heading", name="Gate", exact=True)).to_be_visible(timeout=JOB_WITHIN_MS)

    assert log_lines(page) == log_file(page)
    expect(page.get_by_role("link", name="Publish to zoo")).to_be_visible()
    expect(page.locator("#checkpoint-chart canvas")).to_be_visible()
    assert complaints == []

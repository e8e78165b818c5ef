"""Uploading in a real browser while the network misbehaves."""

import hashlib
import random
import re
from pathlib import Path

from playwright.sync_api import Page, Route, expect

SIZE_BYTES = 40 * 2**20 + 123


def test_an_upload_survives_requests_that_fail_in_the_middle(
    signed_in: Page, complaints: list[str], tmp_path: Path
) -> None:
    page, chance = signed_in, random.Random(5)
    file = tmp_path / "not a network.onnx"
    file.write_bytes(chance.randbytes(SIZE_BYTES))
    failed = []

    def fail_some(route: Route) -> None:
        if route.request.method == "PATCH" and len(failed) < 4 and chance.random() < 0.6:
            failed.append(route.request.url)
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/uploads/**", fail_some)
    page.get_by_role("link", name="Models").first.click()
    page.get_by_role("link", name="Upload model").first.click()
    page.locator("input[type=file]").set_input_files(file)
    page.wait_for_url(re.compile(r"/models/[0-9a-f-]{36}/"), timeout=60_000)

    assert failed
    expect(page.get_by_text("This file was refused")).to_be_visible(timeout=60_000)
    expect(page.get_by_text(hashlib.sha256(file.read_bytes()).hexdigest())).to_be_visible()


def test_a_paused_upload_goes_on_after_the_page_was_reloaded(signed_in: Page, tmp_path: Path) -> None:
    page = signed_in
    file = tmp_path / "half.onnx"
    file.write_bytes(random.Random(6).randbytes(SIZE_BYTES))
    page.get_by_role("link", name="Models").first.click()
    page.get_by_role("link", name="Upload model").first.click()
    sent: list[str] = []

    def hold_the_third(route: Route) -> None:
        if route.request.method == "PATCH":
            sent.append(route.request.headers["upload-offset"])
            if len(sent) == 3:
                return  # never answered: the connection hangs until the page is left
        route.continue_()

    page.route("**/uploads/**", hold_the_third)
    page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text(re.compile("16.8 MB of"))).to_be_visible(timeout=60_000)
    page.unroute("**/uploads/**")
    page.reload()

    expect(page.get_by_text("Choose the same file again to go on")).to_be_visible()
    offsets: list[str] = []
    page.on(
        "request", lambda one: offsets.append(one.headers.get("upload-offset", "")) if one.method == "PATCH" else None
    )
    page.locator("input[type=file]").set_input_files(file)
    page.wait_for_url(re.compile(r"/models/[0-9a-f-]{36}/"), timeout=60_000)

    assert int(offsets[0]) >= 16 * 2**20  # the held chunk may have got through when the page was left


def test_a_file_that_is_refused_before_the_first_byte_says_why(signed_in: Page, tmp_path: Path) -> None:
    page = signed_in
    empty = tmp_path / "empty.onnx"
    empty.write_bytes(b"")
    page.get_by_role("link", name="Models").first.click()
    page.get_by_role("link", name="Upload model").first.click()

    page.locator("input[type=file]").set_input_files(empty)

    expect(page.get_by_text("found an empty one")).to_be_visible()
    expect(page.get_by_text("Drop a file here")).to_be_visible()

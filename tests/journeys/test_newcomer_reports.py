"""From what the newcomer published to a report in the hands of a guest, and on one sheet of paper."""

import io
import re

import pypdf
from playwright.sync_api import Browser, Page, expect

from tests.journeys.conftest import Site
from tests.journeys.test_pages import faults


def test_a_report_is_made_shared_read_by_a_guest_and_printed(
    signed_in: Page, site: Site, browser: Browser, complaints: list[str]
) -> None:
    page = signed_in
    _describe_a_workload(page, site)

    page.get_by_role("link", name="Zoo").first.click()
    page.locator("main table a, main .box a.plain").first.click()
    page.get_by_role("link", name="Report", exact=True).click()
    page.get_by_label("Question").fill("Is it worth it for our cameras?")
    page.get_by_role("button", name="Make report").click()
    page.wait_for_url(re.compile(r"/reports/[0-9a-f-]{36}/"))
    expect(page.get_by_role("article")).to_contain_text("Is it worth it for our cameras?")
    page.get_by_role("button", name="Make link").click()
    address = page.locator("#secret").inner_text()

    guest = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    guest.goto(address)
    expect(guest.get_by_role("article")).to_contain_text("Is it worth it for our cameras?")
    assert guest.context.cookies() == [] and faults(guest) == []
    assert guest.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    with guest.expect_download() as taken:
        guest.get_by_role("link", name="Download PDF").click()
    for paper in (taken.value.path().read_bytes(), guest.pdf(prefer_css_page_size=True), _printed_dark(page)):
        sheet = pypdf.PdfReader(io.BytesIO(paper))
        assert len(sheet.pages) == 1 and "Is it worth it" in sheet.pages[0].extract_text()
        assert (round(sheet.pages[0].mediabox.width), round(sheet.pages[0].mediabox.height)) in ((595, 842), (596, 842))
    guest.context.close()
    assert not complaints


def _describe_a_workload(page: Page, site: Site) -> None:
    page.goto(site.url + "/savings/")
    if (create := page.get_by_role("button", name="See the savings")).count():
        create.first.click()
        page.wait_for_url(re.compile(r"/savings/[0-9a-f-]{36}/"))


def _printed_dark(page: Page) -> bytes:
    """The member's own page on paper, from the dark theme."""
    page.goto(page.url.replace("/share/", "/"))
    page.evaluate("document.documentElement.dataset.bsTheme = 'dark'")
    paper = page.pdf(prefer_css_page_size=True)
    page.evaluate("document.documentElement.dataset.bsTheme = 'light'")
    return paper

"""The savings page in a real browser: a changed assumption to the redrawn page, with every figure and both drawings."""

from compressionhub.site.bench.browser import changed, figure, opened
from compressionhub.site.bench.figure import Figure
from compressionhub.site.bench.stage import site
from compressionhub.site.bench.variants import fill

TITLE = "savings page, a changed assumption"
REACH_MS = 300.0
VARIANTS, MODELS, CHANGES = 40, 5, 11

VOLUME = '#savings [name="volume"]'


def measure() -> list[Figure]:
    from playwright.sync_api import sync_playwright

    with site("--no-worker") as stage:
        stage.sign_in()
        stage.enter()
        fill(variants=VARIANTS, models=MODELS)
        with sync_playwright() as playwright:
            page = opened(playwright, stage, "/savings/", ready="#savings-results canvas")
            volumes = [str(10**9 + at * 10**8) for at in range(CHANGES)]
            taken = [changed(page, VOLUME, volume, drawn="htmx:afterSettle") for volume in volumes]
            page.context.browser.close()
    return [figure("savings page, changed assumption to redrawn page", taken[1:], REACH_MS)]

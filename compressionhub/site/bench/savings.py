"""The savings page in a real browser: a changed assumption to the redrawn page, with every figure and both drawings."""

from compressionhub.site.bench.browser import TYPING_MS, figure, opened
from compressionhub.site.bench.figure import Figure
from compressionhub.site.bench.stage import site
from compressionhub.site.bench.variants import fill

TITLE = "savings page, a changed assumption"
REACH_MS = 300.0
VARIANTS, MODELS, CHANGES = 40, 5, 11

CHANGE = """async ([value, typing]) => {
  const field = document.querySelector('#savings [name="volume"]');
  const drawn = new Promise((done) => document.addEventListener("htmx:afterSettle", done, { once: true }));
  const began = performance.now();
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  await drawn;
  await new Promise((done) => requestAnimationFrame(done));
  return performance.now() - began - typing;
}"""


def measure() -> list[Figure]:
    from playwright.sync_api import sync_playwright

    with site("--no-worker") as stage:
        stage.sign_in()
        stage.enter()
        fill(variants=VARIANTS, models=MODELS)
        with sync_playwright() as playwright:
            page = opened(playwright, stage, "/savings/", ready="#savings-results canvas")
            taken = [page.evaluate(CHANGE, [str(10**9 + at * 10**8), TYPING_MS]) for at in range(CHANGES)]
            page.context.browser.close()
    return [figure("savings page, changed assumption to redrawn page", taken[1:], REACH_MS)]

"""Comparing 1,000 variants in a real browser: a moved slider, and a changed assumption, each to the redrawn page."""

from typing import Any

from compressionhub.site.bench.browser import changed, figure, opened
from compressionhub.site.bench.figure import Figure
from compressionhub.site.bench.stage import site
from compressionhub.site.bench.variants import fill

TITLE = "compare 1,000 variants in the browser"
VARIANTS, MODELS = 1000, 30
SLIDER_MS, ASSUMPTION_MS = 50.0, 300.0
MOVES, CHANGES = 21, 7

# From the event to what comes after the frame in which the change was painted; runs inside the page.
MOVE = """async ([key, at]) => {
  const slider = document.querySelector(`[data-limit="${key}"]`);
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  await frame();
  const began = performance.now();
  slider.value = at;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  document.body.getBoundingClientRect();
  await frame();
  const painted = new MessageChannel();
  const end = new Promise((done) => { painted.port1.onmessage = () => done(performance.now() - began); });
  painted.port2.postMessage(0);
  return end;
}"""
VOLUME = '[data-assumptions] [name="volume"]'


def measure() -> list[Figure]:
    from playwright.sync_api import sync_playwright

    with site("--no-worker") as stage:
        stage.sign_in()
        stage.enter()
        fill(variants=VARIANTS, models=MODELS)
        with sync_playwright() as playwright:
            page = opened(playwright, stage, "/compare/", ready="#compare-scatter canvas")
            moved = [page.evaluate(MOVE, _move(at)) for at in range(MOVES)]
            volumes = [str(10**9 + at * 10**8) for at in range(CHANGES)]
            redrawn = [changed(page, VOLUME, volume, drawn="hub:compared") for volume in volumes]
            page.context.browser.close()
    return [
        figure("slider to redrawn page, 1,000 variants", moved[1:], SLIDER_MS),
        figure("changed assumption to redrawn page", redrawn[1:], ASSUMPTION_MS),
    ]


def _move(at: int) -> list[Any]:
    """Every slider in turn, to and fro."""
    key = ("loss", "p95", "bill", "kg")[at % 4]
    return [key, 12 + (at * 7) % 30]

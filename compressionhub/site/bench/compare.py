"""Comparing 1,000 variants in a real browser: a moved slider, and a changed assumption, each to the redrawn page."""

import os
import shutil
from statistics import median
from typing import Any

from compressionhub.site.bench.figure import Figure
from compressionhub.site.bench.stage import Stage, site
from compressionhub.site.bench.variants import fill

TITLE = "compare 1,000 variants in the browser"
VARIANTS, MODELS = 1000, 30
SLIDER_MS, ASSUMPTION_MS = 50.0, 300.0
MOVES, CHANGES = 21, 7
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
]

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
CHANGE = """async ([name, value, typing]) => {
  const field = document.querySelector(`[data-assumptions] [name="${name}"]`);
  const drawn = new Promise((done) => document.addEventListener("hub:compared", done, { once: true }));
  const began = performance.now();
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  await drawn;
  await new Promise((done) => requestAnimationFrame(done));
  return performance.now() - began - typing;
}"""
TYPING_MS = 200  # the page waits so long for the next key before it asks


def measure() -> list[Figure]:
    from playwright.sync_api import sync_playwright

    with site("--no-worker") as stage:
        stage.sign_in()
        stage.enter()
        fill(variants=VARIANTS, models=MODELS)
        with sync_playwright() as playwright:
            page = _opened(playwright, stage)
            moved = [page.evaluate(MOVE, _move(at)) for at in range(MOVES)]
            changed = [page.evaluate(CHANGE, ["volume", str(10**9 + at * 10**8), TYPING_MS]) for at in range(CHANGES)]
            page.context.browser.close()
    return [
        _figure("slider to redrawn page, 1,000 variants", moved[1:], SLIDER_MS),
        _figure("changed assumption to redrawn page", changed[1:], ASSUMPTION_MS),
    ]


def _opened(playwright: Any, stage: Stage) -> Any:
    named = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    path = next((found for name in named if name and (found := shutil.which(name))), None)
    if path is None:
        raise RuntimeError("no Chromium: set CHROMIUM or install it")
    context = playwright.chromium.launch(executable_path=path, args=FLAGS).new_context()
    address = f"http://localhost:{stage.port}"
    context.add_cookies([{"name": name, "value": value, "url": address} for name, value in stage.cookies.items()])
    page = context.new_page()
    page.goto(f"{address}/compare/")
    page.wait_for_selector("#compare-scatter canvas")
    page.wait_for_timeout(500)
    return page


def _move(at: int) -> list[Any]:
    """Every slider in turn, to and fro."""
    key = ("loss", "p95", "bill", "kg")[at % 4]
    return [key, 12 + (at * 7) % 30]


def _figure(title: str, taken: list[float], reach_ms: float) -> Figure:
    usual = median(taken)
    said = f"{usual:.0f} ms (median of {len(taken)}, worst {max(taken):.0f})"
    return Figure(title, said, f"<= {reach_ms:.0f} ms", usual <= reach_ms)

"""A real browser on a stage, for figures about pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from statistics import median
from typing import Any

from compressionhub.site.bench.figure import Figure
from compressionhub.site.bench.stage import Stage

TYPING_MS = 200  # pages wait so long for the next key before they ask: a person's pause and none of the page's time
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
]


def opened(playwright: Any, stage: Stage, path: str, *, ready: str) -> Any:
    """A page of the stage as its guest sees it, once ``ready`` is there.

    Raises:
        RuntimeError: if there is no Chromium.
    """
    named = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    browser = next((found for name in named if name and (found := shutil.which(name))), None)
    if browser is None:
        raise RuntimeError("no Chromium: set CHROMIUM or install it")
    context = playwright.chromium.launch(executable_path=browser, args=FLAGS).new_context()
    address = f"http://localhost:{stage.port}"
    context.add_cookies([{"name": name, "value": value, "url": address} for name, value in stage.cookies.items()])
    page = context.new_page()
    page.goto(f"{address}{path}")
    page.wait_for_selector(ready)
    page.wait_for_timeout(500)
    return page


# From a changed field to the frame after the page says that it is drawn; runs inside the page.
CHANGE = """async ([selector, value, event]) => {
  const field = document.querySelector(selector);
  const drawn = new Promise((done) => document.addEventListener(event, done, { once: true }));
  const began = performance.now();
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  await drawn;
  await new Promise((done) => requestAnimationFrame(done));
  return performance.now() - began;
}"""


def changed(page: Any, selector: str, value: str, *, drawn: str) -> float:
    """Milliseconds from a changed field to the redrawn page, which says so with the event ``drawn``."""
    taken: float = page.evaluate(CHANGE, [selector, value, drawn])
    return taken - TYPING_MS


def figure(title: str, taken_ms: Sequence[float], reach_ms: float) -> Figure:
    usual = median(taken_ms)
    said = f"{usual:.0f} ms (median of {len(taken_ms)}, worst {max(taken_ms):.0f})"
    return Figure(title, said, f"<= {reach_ms:.0f} ms", usual <= reach_ms)

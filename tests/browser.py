"""A real browser without a network, for tests that open a page: Chromium, where there is one.

Where there is none the tests are skipped, and seen to be; with KS_CORE_BROWSER=required in the environment, as
continuous integration sets it, that is a failure.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

NAMES = ("chromium", "chromium-browser", "google-chrome")

WIDE, PHONE = 1280, 390
"""Pixels across."""


def chromium() -> str:
    """The browser's path; skips, or fails, where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    try:
        import axe_playwright_python  # noqa: F401
        import playwright  # noqa: F401
    except ImportError as error:
        found, missing = None, str(error)
    else:
        missing = f"none of {', '.join(NAMES)} is installed"
    if found is None:
        says = f"the page was opened in no browser: {missing}"
        if os.environ.get("KS_CORE_BROWSER") == "required":
            pytest.fail(says)
        pytest.skip(says)
    return found


@dataclass
class Opened:
    """A page in the browser, with everything that it complained of and asked for."""

    page: object
    complaints: list = field(default_factory=list)
    requests: list = field(default_factory=list)

    def all_drawn(self):
        """Scroll through the page, so that every chart is drawn, and back."""
        height = self.page.evaluate("document.body.scrollHeight")
        for top in range(0, height, 500):
            self.page.evaluate(f"window.scrollTo(0, {top})")
            self.page.wait_for_timeout(30)
        self.until(
            "[...document.querySelectorAll('.chart')].every(of => !of.checkVisibility() || of.querySelector('svg'))"
        )
        self.page.evaluate("window.scrollTo(0, 0)")
        return self

    def until(self, expression):
        """Wait until it is true: the page's policy forbids the way in which playwright would wait for it."""
        for _ in range(200):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(100)
        pytest.fail(f"after twenty seconds it is still not so that {expression}")


@contextmanager
def running():
    """A Chromium, for the tests of a module."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        started_one = started.chromium.launch(executable_path=path, args=list(FLAGS))
        yield started_one
        started_one.close()


@contextmanager
def opened(browser, path, *, width=WIDE, scheme="light"):
    """Open a file; what the page logs and requests is kept."""
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    of = Opened(page)
    page.on("console", lambda said: of.complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: of.complaints.append(str(error)))
    page.on("request", lambda request: of.requests.append(request.url))
    try:
        page.goto(path.resolve().as_uri())
        yield of
    finally:
        page.close()

"""Pictures of a run's page and of its lines on a terminal, for docs/: python tools/screenshots.py RESULTS."""

from __future__ import annotations

import argparse
import html
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from playwright.sync_api import sync_playwright

import ks_core as ks
from ks_core.claims.summing import sums_of
from ks_core.reporting.claim_lines import claim_lines, last_line, legend
from ks_core.reporting.screen import Line, Screen

FIGURES = Path(__file__).resolve().parents[1] / "fixtures" / "figures"

SIZES = {"page.png": (1280, 1000), "page-phone.png": (390, 844)}
"""Pixels across and down: a laptop, and a phone."""

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking")

COLOURS = {"green": "#5fd75f", "red": "#ff6b6b", "yellow": "#e5c07b", "": "#d8d8d8"}

TERMINAL = (
    "<!doctype html><meta charset=utf-8><body style='margin:0;background:#161616'><pre style='display:inline-block;"
    "margin:0;padding:16px;font:14px/1.35 DejaVu Sans Mono,monospace;color:#d8d8d8'>{}</pre>"
)


def terminal(results: ks.StoredResults) -> str:
    """What a run prints at its end on a terminal of 100 columns, as a document of HTML."""
    screen = Screen(colour=True)
    sums = sums_of(results.findings, results.content["not_judged"])
    lines = [
        *claim_lines(sums, screen), Line(""), *legend(sums, screen, more="-v"), Line(""),
        *last_line(sums, Path(results.model).name, screen),
    ]  # fmt: skip
    return TERMINAL.format("\n".join(map(_line, lines)))


def _line(line: Line) -> str:
    parts: Iterable[tuple[str, str]] = line.parts()
    return "".join(f"<span style='color:{COLOURS[colour]}'>{html.escape(text)}</span>" for text, colour in parts)


def main() -> None:
    """Make `page.png`, `page-phone.png` and `terminal.png`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", metavar="RESULTS", type=Path, help="results.json of a run")
    given = parser.parse_args().results
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(color_scheme="light")
        page.goto(ks.report(given, Path(folder) / "page.html").resolve().as_uri())
        for name, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            page.screenshot(path=FIGURES / name)
        page.set_content(terminal(ks.load_results(given)))
        page.locator("pre").screenshot(path=FIGURES / "terminal.png")


if __name__ == "__main__":
    main()

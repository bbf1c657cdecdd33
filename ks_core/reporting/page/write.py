"""The page as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ks_core.outputs import write_text
from ks_core.reporting.page.build import page
from ks_core.reporting.stored_results import StoredResults

PAGE = "report.html"
"""Name of the file beside results.json."""


def write_page(path: Path, results: Sequence[StoredResults]) -> None:
    """Write the page of one or several runs; a file that is there is replaced whole.

    Raises:
        InputError: no results, damaged matrices, or a file that cannot be written.
        MissingExtraError: `ks_core[paper]` is not installed.
    """
    write_text(path, page(results))

"""The page of one or several runs, from their stored results."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ks_core import arguments
from ks_core.errors import InputError
from ks_core.extras import require
from ks_core.formatting import shown_path
from ks_core.outputs import check_output
from ks_core.reporting.page.write import PAGE, write_page
from ks_core.reporting.results import RESULTS
from ks_core.reporting.stored_results import StoredResults, load_results

Source = str | os.PathLike[str] | StoredResults
"""Of results: a results.json, its folder, a folder of such folders, or what `load_results` gave."""


def report(results: Source | Iterable[Source], out: str | os.PathLike[str] = PAGE) -> Path:
    """Make one HTML page of results: which claims hold, which facts are most entangled, figures and tables.

    The page needs no network and runs nothing foreign. Several runs are shown side by side, a leaderboard first.

    Args:
        results: a results.json, the folder that holds it (`ks-results/gpt2`), a folder of such folders
            (`ks-results`), what `load_results` gave, or several of these. A file that is named twice is shown once.
        out: the page; a file that is there is replaced.

    Returns:
        The path of the page.

    Raises:
        MissingExtraError: `ks_core[paper]` is not installed.
        InputError: no results there, results that cannot be read (see `load_results`), a page that cannot be written
            or is one of the files that are read.

    Example:
        >>> report("nowhere")
        Traceback (most recent call last):
        ...
        ks_core.errors.InputError: nowhere is not there; expected a results.json, or a folder that holds one: ...
    """
    found = stored(results)
    target = Path(arguments.word("out", out))
    check_output("out", target, {str(file): file for of in found for file in of.files})
    write_page(target, found)
    return target


def stored(results: Source | Iterable[Source]) -> list[StoredResults]:
    """What `report` takes, read; each once.

    Raises:
        MissingExtraError: `ks_core[paper]` is not installed.
        InputError: no results there, or results that cannot be read.
    """
    require("paper", "report")
    given = [results] if isinstance(results, (str, os.PathLike, StoredResults)) else _several(results)
    found: dict[str | int, StoredResults | Path] = {}
    for source in given:
        if isinstance(source, StoredResults):
            found[id(source)] = source
        else:
            found.update({str(file.resolve()): file for file in _files(source)})
    if not found:
        raise InputError("results is empty; expected one results.json at least, or the folder that holds it")
    return [load_results(of) if isinstance(of, Path) else of for of in found.values()]


def _several(results: Any) -> list[Source]:
    expected = "a results.json, its folder, what load_results gave, or several of these"
    return list(arguments.items("results", results, expected))


def _files(source: str | os.PathLike[str]) -> list[Path]:
    """The results.json that a path stands for: itself, the one in it, or those of the folders in it, by name."""
    place = Path(arguments.word("results", source))
    expected = f"expected a {RESULTS}, or a folder that holds one: measure first, or name another"
    try:
        is_there, is_folder, own = place.exists(), place.is_dir(), place / RESULTS
        inside = [own] if own.is_file() else sorted(of for of in place.glob(f"*/{RESULTS}") if of.is_file())
    except OSError as error:
        raise InputError(f"{shown_path(place)} cannot be read: {error}; {expected}") from error
    if not is_there:
        raise InputError(f"{shown_path(place)} is not there; {expected}")
    if is_folder and not inside:
        raise InputError(f"{shown_path(place)} holds no {RESULTS}, nor do the folders in it; {expected}")
    return inside if is_folder else [place]

"""The page of one or several runs as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ks_core.errors import InputError
from ks_core.extras import require
from ks_core.formatting import printable
from ks_core.reporting import words
from ks_core.reporting.stored_results import StoredResults


def page(results: Sequence[StoredResults]) -> str:
    """One HTML document that needs no network: the answer, the facts, the figures, the tables.

    Equal results give an equal page: it has no time of its making in it.

    Args:
        results: one run, or several to be shown side by side.

    Raises:
        InputError: no results, or matrices beside them that are damaged or of another run; of
            missing ones the page says that they are.
        MissingExtraError: `ks_core[paper]` is not installed.
    """
    require("paper", "a page of results")
    if not results:
        raise InputError("there are no results; expected one run at least: name a results.json, or its folder")
    from ks_core.reporting.page import embedding
    from ks_core.reporting.page.entangled import COLUMNS, NUMBERS
    from ks_core.reporting.page.leaderboard import claims_of_runs, leaderboard, methods_of_runs
    from ks_core.reporting.page.view import names_of, views_of

    names, several = names_of(results), len(results) > 1
    scripts = embedding.scripts()
    return str(
        _environment()
        .get_template("page.html.j2")
        .render(
            runs=views_of(results),
            title=f"{len(results)} runs side by side" if several else names[0],
            leaderboard=leaderboard(results, names) if several else None,
            claims_of_runs=claims_of_runs(results, names) if several else None,
            methods_of_runs=methods_of_runs(results, names) if several else None,
            columns=COLUMNS,
            numbers=NUMBERS,
            scripts=scripts,
            styles=embedding.styles(),
            policy=embedding.policy(scripts),
            all_at_once=words.ALL_AT_ONCE,
        )
    )


def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from ks_core.reporting.page import embedding

    environment = Environment(
        loader=FileSystemLoader(embedding.FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda of: of if isinstance(of, Markup) else printable(of),
    )
    environment.filters["json"] = embedding.json_text
    return environment

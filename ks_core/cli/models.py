"""`ks models [MODEL...]`: the packaged models, or what ks_core sees of a model before it is loaded."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ks_core.cli.arguments import Add, warn
from ks_core.cli.output import check_json, declare_output, write_json
from ks_core.command import given
from ks_core.formatting import printable
from ks_core.reporting.screen import WIDE, Screen, screen_of

if TYPE_CHECKING:
    from ks_core.models.listing import ModelEntry

HELP = "list the packaged models, or show what is seen of a model"

DESCRIPTION = (
    "List the models that come with ks_core or are fetched by their name, or show what is seen of those that are "
    "named: family, layers, and the matrix that edits change. Weights are not loaded, and nothing is downloaded but a "
    "hub model's config."
)

EXAMPLES = (
    "ks models",
    "ks models gpt2 ./my-model --json models.json",
)

FINDING = ""

FORMAT = "ks_core/models/1"


def declare(add: Add) -> None:
    """The arguments."""
    add("model", metavar="MODEL", nargs="*", type=given, help="packaged model, local folder or hub id")
    add("--revision", type=given, help="branch, tag or commit of a hub model")
    declare_output(add)


def execute(options: argparse.Namespace) -> int:
    """Look, write the file, print."""
    from ks_core.models.listing import listed

    check_json(options.json, {f"MODEL {name}": name for name in options.model})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        found = listed(*options.model, revision=options.revision)
    write_json(options.json, FORMAT, {"models": [asdict(model) for model in found]})
    warn(said)
    width = screen_of().width
    print("\n\n".join(page(of, width) for of in found) if options.model else table(found, width))
    return 0


def table(found: Sequence[ModelEntry], width: int = WIDE) -> str:
    """A row each, or where that is wider than the screen a block each: what is to be known before one is chosen."""
    rows = [("name", "family", "layers", "d_key", "parameters", "size", "licence", "")]
    rows += [
        (
            printable(model.name),
            printable(model.family),
            str(model.layers),
            f"{model.d_key:,}",
            _number(model.parameters),
            _size(model.disk),
            model.licence or "",
            "here" if model.cached else f"to fetch: {_size(model.download)}",
        )
        for model in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if max(map(len, lines)) <= width:
        return "\n".join(lines)
    return "\n\n".join(page(of, width) for of in found)


def page(model: ModelEntry, width: int = WIDE) -> str:
    """One model, a line for each thing that is seen; longer ones go on in the next line."""
    stored = f"{model.d_key:,} × {model.d_value:,}" if model.transposed else f"{model.d_value:,} × {model.d_key:,}"
    lines = {
        "family": printable(model.family),
        "layers": f"{model.layers}, each with d_key {model.d_key:,} and d_value {model.d_value:,}",
        "edited": f"{model.edited}, {stored}" + (", stored transposed" if model.transposed else ""),
        "embeddings": "input and output are one matrix" if model.tied else "input and output are two matrices",
        "parameters": f"{model.parameters:,}, stored as {printable(model.dtype)}",
        "context": f"{model.context_length:,} tokens",
        "licence": model.licence or "not known here",
        "place": f"{printable(model.location)} ({_size(model.disk)})",
    }
    if not model.cached:
        lines["place"] = f"not here yet; {_size(model.download)} to fetch, then {_size(model.disk)} on disk"
    screen = Screen(width)
    said = [screen.wrapped(said, " " * 4, f"  {name:<11} ", whole_words=True) for name, said in lines.items()]
    return "\n".join([printable(model.name), *(line for of in said for line in of)])


def _number(count: int) -> str:
    for unit, name in ((10**9, " billion"), (10**6, " million")):
        if count >= unit:
            return f"{count / unit:.3g}{name}"
    return f"{count:,}"


def _size(size: int | None) -> str:
    if size is None:
        return "size not known"
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"

"""`ks stream`: hundreds of edits by many methods, anyone's editors among them, without pytest."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ks_core.cli.arguments import Add, declare_editors, declare_model, declare_text, warn
from ks_core.cli.dry_run import declare_dry_run, told
from ks_core.cli.output import declare_output
from ks_core.command import given, integer, path
from ks_core.data.facts import PACKAGED_FACTS
from ks_core.data.fixtures import fixture_path
from ks_core.formatting import one_line, printable
from ks_core.outputs import check_folder, check_output

if TYPE_CHECKING:
    from ks_core.experiments.lifelong.measurement import Lifelong
    from ks_core.experiments.request.inputs import Inputs
    from ks_core.experiments.request.settings import Settings

HELP = "make hundreds of edits by many methods, and show what each keeps and breaks"

DESCRIPTION = (
    "Edit facts that the model knows, one after another and all at once, by every method in several orders, and look "
    "at what is kept, what is broken and when. The model is as before afterwards."
)

EXAMPLES = (
    "ks stream --model toy --edits 40 --orders 2",
    "ks stream --model gpt2 --facts counterfact.json --editor my_package:edit --json stream.json",
)

FINDING = ""


def declare(add: Add) -> None:
    """The arguments."""
    declare_model(add)
    add("--facts", metavar="FILE", type=given, help="facts to edit and to watch (default: the packaged ones)")
    add("--edits", type=integer(1), default=400, metavar="N", help="at most (default: %(default)s)")
    add("--orders", type=integer(1), default=3, metavar="R", help="orders of the edits (default: %(default)s)")
    add("--layer", type=integer(0), metavar="L", help="layer to edit (default: at a third of the depth)")
    declare_editors(add)
    declare_text(add)
    add("--seed", type=integer(0), default=0, help="of orders and samples (default: %(default)s)")
    declare_dry_run(add)
    declare_output(add)
    add("--figures", type=path, metavar="DIR", help="draw frontier.png, lifelong.png and forecast.png into DIR")


def execute(options: argparse.Namespace) -> int:
    """Measure, write files, print the tables; 2 where a figure could not be drawn."""
    from ks_core.experiments.lifelong.measure import measure_lifelong, stream_inputs
    from ks_core.experiments.request.editors import named_editors
    from ks_core.experiments.request.selection import select_facts

    settings = _settings(options)
    _check_outputs(options)
    editors = named_editors("--editor", options.editor)
    if options.dry_run:
        return _planned(options, settings)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        inputs = stream_inputs(settings, options.layer)
        selection = select_facts(inputs.model, inputs.facts, 1)  # how many there must be is the plan's to say
        measured = measure_lifelong(
            inputs, selection, editors, num_edits=options.edits, orders=options.orders, layer=options.layer
        )
    return _told(options, inputs, measured, said)


def _planned(options: argparse.Namespace, settings: Settings) -> int:
    from ks_core.data.facts import load_facts
    from ks_core.reporting import dry_steps

    facts = load_facts(settings.facts or PACKAGED_FACTS)
    layers = None if options.layer is None else [options.layer]
    return told(
        options,
        lambda model: [
            *dry_steps.fetch_steps(model, settings.corpus),
            dry_steps.known_step(facts),
            dry_steps.moments_step(model, settings.tokens, layers),
            *dry_steps.long_stream_steps(model, min(options.edits, len(facts)), options.orders),
        ],
    )


def _settings(options: argparse.Namespace) -> Settings:
    from ks_core.experiments.request.settings import Settings

    names = ("model", "revision", "device", "dtype", "facts", "corpus", "tokens", "ridge", "seed")
    return Settings(**{name: getattr(options, name) for name in names})


def _check_outputs(options: argparse.Namespace) -> None:
    """Refuse before the work what could not be written after it."""
    facts = str(fixture_path("facts/facts.json")) if options.facts in (None, PACKAGED_FACTS) else options.facts
    if options.json is not None:
        check_output("--json", options.json, {"--facts": facts, "--corpus": options.corpus, "--model": options.model})
    if options.figures is not None:
        import ks_core.reporting.figures  # noqa: F401, says now what is not installed

        check_folder("--figures", options.figures)


def _told(options: argparse.Namespace, inputs: Inputs, measured: Lifelong, said: list[warnings.WarningMessage]) -> int:
    """Write files, then warnings and what could not be drawn, then the tables: whoever reads may stop early."""
    from ks_core.reporting.lifelong import lifelong_tables
    from ks_core.reporting.stream_file import write_stream

    written: list[Path] = []
    problems: list[str] = []
    if options.json is not None:
        write_stream(options.json, inputs, measured)
        written.append(options.json)
    if options.figures is not None:
        from ks_core.reporting.figures.drawing import save_figures
        from ks_core.reporting.figures.lifelong import lifelong_figures

        paths, problems = save_figures(options.figures, lifelong_figures(measured, inputs.settings.model_name))
        written += paths
    warn(said)
    for problem in problems:
        print(f"ks stream: error: {one_line(problem)}", file=sys.stderr)
    print("\n".join(lifelong_tables(measured)))
    if written:
        print("\nwritten: " + ", ".join(map(printable, written)))
    return 2 if problems else 0

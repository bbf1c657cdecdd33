"""`ks measure MODEL`: the claims of the paper on a model, as `pytest -m paper` measures and judges them."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ks_core import defaults
from ks_core.cli.arguments import Add, declare_editors, warn
from ks_core.cli.dry_run import declare_dry_run, told
from ks_core.cli.output import check_json, declare_output
from ks_core.command import given
from ks_core.data.facts import PACKAGED_FACTS
from ks_core.defaults import ALL_PARTS, PARTS
from ks_core.errors import InputError, KsError, TooFewFactsError
from ks_core.formatting import one_line, printable, shown
from ks_core.pytest_options import OPTIONS

if TYPE_CHECKING:
    from ks_core.data.facts import FactSet
    from ks_core.experiments.measured import Part
    from ks_core.models.listing import ModelEntry
    from ks_core.reporting.dry_run import Step
    from ks_core.reporting.session import PaperSession

HELP = "measure a model, and judge the claims of the paper on it"

DESCRIPTION = (
    "Measure superposition between facts that a model knows, in every layer, make edits and take them back, and judge "
    "each claim of the paper on what was measured: what `pytest -m paper` does, without pytest. The model is as before "
    "afterwards; what was measured is cached, and the same command goes on there."
)

EXAMPLES = (
    "ks measure toy",
    "ks measure gpt2 --facts counterfact.json --parts pairs --results my-results",
)

FINDING = "a number is not what the baseline of this request has, or a claim that must hold everywhere does not"

LEFT_TO_PYTEST = ("--ks-model", "--ks-update-baseline")
"""Of its options: the model is an argument here, and a baseline holds names of tests."""

FEWEST_EDITS = 4


def declare(add: Add) -> None:
    """The arguments."""
    add("model", metavar="MODEL", nargs="?", default=defaults.MODEL, type=given, help=OPTIONS["--ks-model"]["help"])
    add(
        "--parts",
        type=_parts,
        default=PARTS,
        metavar="P,P",
        help=f"of {', '.join(ALL_PARTS)}; pairs always (default: {','.join(PARTS)})",
    )
    for name, how in OPTIONS.items():
        if name not in LEFT_TO_PYTEST:
            own = {"dest": how["dest"].removeprefix("ks_")} if "dest" in how else {}
            add(name.replace("--ks-", "--", 1), **{**how, **own})
    declare_editors(add)
    declare_dry_run(add)
    add("-v", "--verbose", action="store_true", help="print the parts of each claim and the tables of methods too")
    declare_output(add, "write a copy of results.json to FILE")


def _parts(text: str) -> tuple[str, ...]:
    """A type of argument: parts of a measurement, in the order in which they are measured."""
    asked = {part.strip() for part in text.split(",")}
    if unknown := sorted(asked - set(ALL_PARTS)):
        raise argparse.ArgumentTypeError(f"{shown(unknown[0])}; expected some of {', '.join(ALL_PARTS)}")
    return tuple(part for part in ALL_PARTS if part in asked or part == "pairs")


def execute(options: argparse.Namespace) -> int:
    """Measure, judge, write, print; 1 where a baseline is not met, 2 where a part could not be measured."""
    from ks_core.experiments.request.editors import named_editors
    from ks_core.outputs import check_folder
    from ks_core.reporting.screen import screen_of

    check_json(options.json, {"--facts": options.facts, "--corpus": options.corpus, "MODEL": options.model})
    check_folder("--results", Path(options.results))
    named_editors("--editor", options.editor)
    if options.dry_run:
        return _planned(options)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        with _aloud():
            session = _started(options)
            differing, failed = _judged(session, options.parts)
    whole = session.finish(_tests(options.parts), clean=not differing, whole=not failed)
    warn(said)
    for problem in differing:
        print(f"ks measure: FAILED: {one_line(problem)}", file=sys.stderr)
    for problem in failed:
        print(f"ks measure: error: {one_line(problem)}", file=sys.stderr)
    screen = screen_of()
    print(screen.written(session.summary(screen, verbose=options.verbose)))
    _copied(session, options.json)
    if failed:
        return 2
    return 0 if whole and not differing else 1


def _planned(options: argparse.Namespace) -> int:
    from ks_core.data.facts import load_facts
    from ks_core.experiments.request.settings import Settings
    from ks_core.reporting import dry_steps

    given, names = settings_given(options), {of.name for of in fields(Settings)}
    settings = Settings(**{name: value for name, value in given.items() if name in names})
    facts = load_facts(settings.facts or PACKAGED_FACTS)
    _require_as_many(facts, options)

    def steps(model: ModelEntry) -> list[Step]:
        measured = [
            *dry_steps.fetch_steps(model, settings.corpus),
            dry_steps.known_step(facts),
            dry_steps.moments_step(model, settings.tokens, settings.layers),
            dry_steps.pairs_step(model, settings),
        ]
        return measured + [step for part in options.parts for step in dry_steps.part_steps(model, settings, part)]

    return told(options, steps)


def _require_as_many(facts: FactSet, options: argparse.Namespace) -> None:
    """Refuse to measure or edit more facts than there are; how many of them the model knows, a dry run cannot say."""
    for option in ("num_facts", "num_edits"):
        asked = getattr(options, option)
        if asked is not None and asked > len(facts):
            raise InputError(
                f"--{option.replace('_', '-')} is {asked:,}, and {facts.name} has {len(facts):,} facts; expected at "
                "most so many: give more facts (--facts FILE), or ask for fewer"
            )


def settings_given(options: argparse.Namespace) -> dict[str, Any]:
    """What was given, by the names that `start_session` takes; families of one's own in a checkout."""
    from ks_core.data.fixtures import checkout_fixtures

    unasked = ("command", "parts", "json", "quiet", "verbose", "dry_run")
    found = {name: value for name, value in vars(options).items() if value is not None and name not in unasked}
    if "families" in found:
        found["families"] = tuple(map(tuple, found["families"]))
    checkout = checkout_fixtures(Path.cwd())
    ours = {"baselines": str(checkout / "baselines"), "own_models": str(checkout / "models")} if checkout else {}
    return {**ours, **found}


def as_many_as_known(options: argparse.Namespace, usable: int) -> dict[str, int]:
    """How many facts are measured and edited where the model knows fewer than the default, and nothing else was asked.

    Raises:
        InputError: too few for any measurement.
    """
    if usable < FEWEST_EDITS:
        raise InputError(
            f"{options.model} knows {usable} of the facts that it was asked about; expected at least {FEWEST_EDITS}: "
            "give facts that it knows (--facts FILE), or a model that knows more"
        )
    edits = (
        {} if options.num_edits is not None else {"num_edits": max(FEWEST_EDITS, min(defaults.NUM_EDITS, usable // 2))}
    )
    return {"num_facts": usable, **edits}


def _started(options: argparse.Namespace) -> PaperSession:
    """The session of this request, with as many facts as the model knows where nobody said how many."""
    from ks_core.reporting.session import start_session

    settings = settings_given(options)
    try:
        return start_session(settings)
    except TooFewFactsError as error:
        if options.num_facts is not None:
            raise
        fewer = as_many_as_known(options, error.usable)
        logging.getLogger("ks_core").info(
            "%s knows %d of the facts, fewer than the %d that are measured by default: all of them are measured",
            options.model,
            error.usable,
            defaults.NUM_FACTS,
        )
        return start_session({**settings, **fewer})


def _judged(session: PaperSession, parts: tuple[Part, ...]) -> tuple[list[str], list[str]]:
    """Measure each part and judge its claims: what is not as it must be, and what could not be measured."""
    from ks_core.reporting.all_claims import claims_of, judge_claim

    differing = session.measurement_problems() if session.has_baseline else []
    failed = []
    for part in parts:
        try:
            session.require(part)
            for claim in claims_of([part]):
                differing += judge_claim(session, claim)
        except KsError as error:  # the others can still be measured
            failed.append(f"{part} was not measured: {error}")
    return differing, failed


def _tests(parts: tuple[Part, ...]) -> list[str]:
    from ks_core.reporting.all_claims import claims_of, id_of_test

    return [id_of_test(claim.name) for claim in claims_of(parts)]


def _copied(session: PaperSession, target: Path | None) -> None:
    if target is None:
        return
    from ks_core.outputs import write_text
    from ks_core.reporting.results import RESULTS

    write_text(target, (session.folder / RESULTS).read_text(encoding="utf-8"))


@contextmanager
def _aloud() -> Iterator[None]:
    """What is logged is seen on standard error, a line each, above a bar where there is one."""
    logger, handler = logging.getLogger("ks_core"), _Lines(logging.INFO)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


class _Lines(logging.Handler):
    """Writes each record as a line; names of models and folders in it are other people's."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        from tqdm.auto import tqdm

        tqdm.write(printable(record.getMessage()), file=sys.stderr)
        sys.stderr.flush()

"""One run of the claims: the measurement, the findings as they come in, and what is written at the end."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ks_core import __version__, defaults
from ks_core.claims.claim import Claim
from ks_core.claims.finding import Finding, NotApplicable
from ks_core.claims.registry import CLAIMS
from ks_core.claims.summing import sums_of
from ks_core.data.fixtures import fixture_path
from ks_core.errors import InputError, KsError
from ks_core.experiments.measured import Measured, Part, measure_part
from ks_core.experiments.pairs.measure import measure
from ks_core.experiments.request.editors import named_editors
from ks_core.experiments.request.inputs import Inputs, load_inputs
from ks_core.experiments.request.settings import Settings
from ks_core.experiments.sizes.choice import families
from ks_core.files import cache_dir
from ks_core.formatting import one_line
from ks_core.outputs import check_folder
from ks_core.reporting.baseline import (
    find_baseline,
    finding_problems,
    measurement_problems,
    missing_findings,
    request_of,
    save_baseline,
)
from ks_core.reporting.baseline_file import Baseline
from ks_core.reporting.capacity import capacity_table
from ks_core.reporting.claim_lines import claim_lines, last_line, legend
from ks_core.reporting.figures.drawing import save_figures
from ks_core.reporting.figures.every import figures_of
from ks_core.reporting.lifelong import lifelong_tables
from ks_core.reporting.page.write import PAGE, write_page
from ks_core.reporting.pairs_file import PAIRS, write_pairs
from ks_core.reporting.results import RESULTS, check_results, write_results
from ks_core.reporting.screen import Line, Screen, columns
from ks_core.reporting.stored_results import load_results
from ks_core.reporting.streams import methods_table
from ks_core.theory.editors import EditFunction

logger = logging.getLogger(__name__)

SCREEN, LABEL = Screen(), 10  # columns of the word that a line begins with


@dataclass(frozen=True)
class Recorded:
    """A finding, and the test that recorded it.

    Attributes:
        gate: whether a baseline is to hold it; not so for what is shown and written only
    """

    finding: Finding
    test: str
    gate: bool


@dataclass
class PaperSession:
    """The state of one run; tests add findings to it.

    Attributes:
        folder: of the results
        editors: anyone's by name, which streams run beside the methods; no baseline has them
        matrices: what is said of the file of matrices, which is written once; empty before that
        recorded: by the finding's id
        not_applicable: by the claim's name
        claims: by name, those of the paper and others that were judged
    """

    inputs: Inputs
    folder: Path
    baselines: Path
    update_baseline: bool
    baseline: Baseline | None
    baseline_note: str
    measured: Measured
    editors: Mapping[str, EditFunction] = field(default_factory=dict)
    matrices: Mapping[str, Any] = field(default_factory=dict)
    recorded: dict[str, Recorded] = field(default_factory=dict)
    not_applicable: dict[str, NotApplicable] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=lambda: dict(CLAIMS))
    figures: Sequence[Path] = ()
    problems: list[str] = field(default_factory=list)

    @property
    def has_baseline(self) -> bool:
        """Whether anything is held against a baseline: this request has one, and it is not being rewritten."""
        return self.baseline is not None and not self.update_baseline

    def gates(self, test: str) -> bool:
        """Whether the findings of a test are held against the baseline: one that has none of them cannot tell."""
        return self.baseline is not None and self.has_baseline and test in self.baseline.tests

    def require(self, part: Part) -> Measured:
        """Measure a part, unless it was measured.

        Raises:
            KsError: input that cannot be used any more.
        """
        if getattr(self.measured, part) is None:
            self.measured = measure_part(self.inputs, self.measured, part, self.editors)
            self.write()
        return self.measured

    def record(self, findings: Sequence[Finding], test: str, *, gate: bool = True) -> list[str]:
        """Add the findings of a test to the table.

        Returns:
            What is wrong with them: how they differ from the baseline, where it holds them; findings of another test.
        """
        problems = []
        for finding in findings:
            before = self.recorded.get(finding.id)
            if before is not None and before.test != test:
                problems.append(f"{finding.id} was recorded by {before.test} already; expected a name of its own")
                continue
            self.recorded[finding.id] = Recorded(finding, test, gate)
            if gate and self.gates(test):
                problems += self._differences(finding)
        return problems

    def _differences(self, finding: Finding) -> list[str]:
        """How a finding differs from the baseline's; what is found of anyone's editor is not held against it."""
        if self.baseline is None or (self.editors and finding.id not in self.baseline.findings):
            return []
        return finding_problems(self.baseline, finding)

    def measurement_problems(self) -> list[str]:
        """How inputs and per-layer statistics differ from the baseline."""
        return [] if self.baseline is None else measurement_problems(self.baseline, self.measured.pairs)

    def finish(self, collected: Collection[str], *, clean: bool, whole: bool) -> bool:
        """Write results.json, the baseline when asked to, and then the figures and the page.

        Args:
            collected: the tests of the run.
            clean: no test has failed.
            whole: all of them were run.

        Returns:
            Whether all is well: no finding of the baseline is missing, and what was to be written could be.
        """
        if self.update_baseline:
            self.problems += (
                self._write_baseline(collected) if clean else ["baseline not written: not all tests passed"]
            )
        elif self.baseline is not None and whole:
            self.problems += missing_findings(self.baseline, self.recorded, collected)
        try:
            self.write()
        except (KsError, OSError) as error:
            self.problems.append(f"{RESULTS} not written: {error}")
        self.figures, undrawn = save_figures(self.folder, figures_of(self.measured))
        self.problems += undrawn
        try:
            write_page(self.folder / PAGE, [load_results(self.folder / RESULTS)])
        except (KsError, OSError) as error:
            self.problems.append(f"{PAGE} not written: {error}")
        return not self.problems

    def write(self) -> None:
        """Write results.json with what there is so far, and beside it the matrices, which are there from the start."""
        self.matrices = self.matrices or write_pairs(self.folder / PAIRS, self.measured.pairs)
        findings = [of.finding for of in self.recorded.values()]
        write_results(
            self.folder / RESULTS, self.measured, findings, self.not_applicable, self.baseline_note, self.matrices
        )

    def _write_baseline(self, collected: Collection[str]) -> list[str]:
        tests: dict[str, list[str]] = {}
        for finding_id, of in self.recorded.items():
            if of.gate:
                tests.setdefault(of.test, []).append(finding_id)
        findings = [of.finding for of in self.recorded.values() if of.gate]
        try:
            path = save_baseline(self.baselines, self.measured.pairs, findings, tests, collected)
        except (KsError, OSError) as error:
            return [f"baseline not written: {error}"]
        self.baseline_note = f"written anew: {path}, {len(findings)} findings of {len(tests)} tests"
        return []

    def summary(self, screen: Screen = SCREEN, *, verbose: bool = False) -> list[Line]:
        """Lines for the end of the run: one a claim, what they mean, and where everything was written.

        Args:
            screen: no line is longer than it is wide, but for a path and for an error, which is one line.
            verbose: whether parts of claims and tables of methods follow.
        """
        sums = sums_of([of.finding for of in self.recorded.values()], self.not_applicable, self.claims)
        return [
            *claim_lines(sums, screen, parts=verbose),
            Line(""),
            *legend(sums, screen, more="" if verbose else "-v"),
            *(_lines(self._tables(screen.width), screen) if verbose else ()),
            Line(""),
            *(Line(f"ERROR: {screen.text(one_line(problem))}") for problem in self.problems),
            *_lines(self._written(), screen, label=LABEL),
            Line(""),
            *last_line(sums, self.measured.pairs.settings.model_name, screen),
        ]

    def _tables(self, width: int) -> list[str]:
        """What methods keep and cost, as far as it was measured."""
        measured = self.measured
        return [
            *([] if measured.stream is None else ["", *methods_table(measured.stream, width)]),
            *([] if measured.lifelong is None else ["", *lifelong_tables(measured.lifelong, width)]),
            *([] if measured.capacity is None else ["", *capacity_table(measured.capacity, width)]),
        ]

    def _written(self) -> list[str]:
        pairs = self.measured.pairs
        steps = {
            name: taken for of in vars(self.measured).values() for name, taken in getattr(of, "seconds", {}).items()
        }
        seconds = ", ".join(f"{name} {taken:.0f}" for name, taken in steps.items() if taken >= 0.5)
        alone = [] if not self.has_baseline else [of.test for of in self.recorded.values() if not self.gates(of.test)]
        return [
            f"facts:    {len(pairs.selection.measured)} of {len(pairs.selection.usable)} usable, "
            f"{pairs.selection.asked} in the file (results.json says what makes one usable)",
            f"baseline: {self.baseline_note}",
            *(f"          has nothing of {test}: judged alone" for test in dict.fromkeys(alone)),
            f"page:     {self.folder / PAGE}",
            f"results:  {self.folder / RESULTS} and {len(self.figures)} figures (PNG) beside it",
            *([f"seconds:  {seconds}"] if seconds else []),
        ]


def _lines(texts: Sequence[str], screen: Screen, label: int = 0) -> list[Line]:
    """Anyone's texts in lines that fit; a word that is longer, such as a path, is left whole to be copied."""
    lines = []
    for said in map(screen.text, texts):
        fits = columns(said) <= screen.width
        lines += [said] if fits else screen.wrapped(said[label:], " " * (label or 2), said[:label], whole_words=True)
    return [*map(Line, lines)]


def start_session(given: Mapping[str, Any]) -> PaperSession:
    """Log what is going to happen, measure pairs of facts, and write what was measured.

    Args:
        given: options by name; those that are fields of `Settings` override its defaults.

    Raises:
        KsError: anything the measurement cannot use or get.
    """
    settings = Settings(**{f.name: given[f.name] for f in fields(Settings) if f.name in given})
    families(settings)  # what is wrong with their names shows before the work
    baselines, update = Path(given.get("baselines", fixture_path("baselines"))), bool(given.get("update_baseline"))
    if update and "baselines" not in given:
        raise InputError("--ks-update-baseline would change the installed package; expected --ks-baselines DIR with it")
    editors = named_editors("--ks-editor", given.get("editor", ()))
    if update and editors:
        raise InputError("--ks-update-baseline was given with --ks-editor; expected one: no baseline has such editors")
    baseline, note = find_baseline(baselines, request_of(settings))
    folder = Path(given["results"]).resolve() / settings.model_name
    check_folder("--ks-results", folder)  # before the work, so that a folder that cannot be written costs none
    for line in plan(settings, folder, note):
        logger.info(line)
    inputs = load_inputs(settings)
    check_results(folder / RESULTS, settings, inputs.model.weights_sha256)
    measured = Measured(measure(settings, inputs=inputs))
    session = PaperSession(inputs, folder, baselines, update, baseline, note, measured, editors)
    session.write()  # tests and figures may fail: what was measured is stored
    return session


TIME = (
    "  time      on two cores: about 11 minutes the first time, one when its parts are cached, 6 more for claims about",
    "            edits, 3 for those about sizes, 45 for those about hundreds of edits",
)
"""Of the packaged model, as it was measured."""


def plan(settings: Settings, folder: Path, baseline_note: str) -> list[str]:
    """What a run is going to do, about how long it takes, and where it keeps what."""
    return [
        f"ks_core {__version__}: measuring knowledge superposition in {settings.model} ({settings.dtype} on "
        f"{settings.device})",
        f"  text      {settings.corpus}, {settings.tokens:,} tokens, read once for all layers",
        f"  facts     {settings.facts or 'packaged'}, the first {settings.num_facts} that the model knows",
        *(
            TIME
            if settings.model == defaults.MODEL
            else (f"  time      ks measure {settings.model} --dry-run estimates it",)
        ),
        f"  cache     {cache_dir()} (model, text, second moments; delete it to start anew)",
        f"  results   {folder}",
        f"  baseline  {baseline_note}",
    ]

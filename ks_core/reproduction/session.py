"""One run of the claims: the plan, the measurement, the findings as they come in, and what is written at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ks_core.data.fixtures import fixture_path
from ks_core.errors import KsError, StorageError
from ks_core.files import cache_dir
from ks_core.reproduction.baseline import (
    Baseline,
    find_baseline,
    finding_problems,
    measurement_problems,
    missing_findings,
    request_of,
    save_baseline,
)
from ks_core.reproduction.claims import Finding
from ks_core.reproduction.editing import LONG, DoseMeasurement, StreamMeasurement, measure_dose, measure_stream
from ks_core.reproduction.editing_figures import write_dose_figures, write_stream_figures
from ks_core.reproduction.editing_report import dose_numbers, methods_table, stream_numbers
from ks_core.reproduction.families import families
from ks_core.reproduction.figures import write_figures
from ks_core.reproduction.inputs import Inputs, load_inputs
from ks_core.reproduction.measure import Measurement, measure
from ks_core.reproduction.report import table, write_results
from ks_core.reproduction.scaling import FamilyScaling, measure_family
from ks_core.reproduction.scaling_figures import write_scaling_figure
from ks_core.reproduction.scaling_report import scaling_numbers
from ks_core.reproduction.seeds import SeedScaling, stored_seeds
from ks_core.reproduction.settings import Settings

CLAIMS = 12
"""Claims that a baseline must hold: all of `bench/paper`, and one more, `scaling`, where there are families."""


@dataclass(frozen=True)
class Parts:
    """What else was asked for: edits, and other sizes of model."""

    stream: StreamMeasurement | None = None
    long_stream: StreamMeasurement | None = None
    dose: DoseMeasurement | None = None
    scaling: tuple[FamilyScaling, ...] = ()
    seeds: SeedScaling | None = None

    def numbers(self) -> dict[str, Any]:
        """For results.json."""
        streams = {"stream": self.stream, "long_stream": self.long_stream}
        found = {name: stream_numbers(measured) for name, measured in streams.items() if measured is not None}
        editing = found | ({} if self.dose is None else {"dose": dose_numbers(self.dose)})
        seeds = None if self.seeds is None else self.seeds.numbers()
        return {"editing": editing, "scaling": [scaling_numbers(family) for family in self.scaling], "seeds": seeds}

    def tables(self) -> list[str]:
        """For the terminal."""
        tables = [methods_table(measured) for measured in (self.stream, self.long_stream) if measured is not None]
        return [line for table in tables for line in (*table, "")]


@dataclass
class PaperSession:
    """The state of one run; tests add findings to it."""

    measurement: Measurement
    results: Path
    baselines: Path
    update_baseline: bool
    baseline: Baseline | None
    baseline_note: str
    figures: Sequence[Path]
    parts: Parts
    findings: list[Finding] = field(default_factory=list)
    ungated: list[Finding] = field(default_factory=list)
    """of the long streams: shown and written, but no part of a baseline"""
    problems: list[str] = field(default_factory=list)

    @property
    def has_baseline(self) -> bool:
        """Whether findings are held against a baseline: this request has one, and it is not being rewritten."""
        return self.baseline is not None and not self.update_baseline

    def record(self, findings: Sequence[Finding], *, gate: bool = True) -> list[str]:
        """Add findings to the table; returns how they differ from the baseline, unless they are not held against it."""
        (self.findings if gate else self.ungated).extend(findings)
        if not gate or self.baseline is None or not self.has_baseline:
            return []
        return [problem for finding in findings for problem in finding_problems(self.baseline, finding)]

    def measurement_problems(self) -> list[str]:
        """How inputs and per-layer statistics differ from the baseline."""
        return [] if self.baseline is None else measurement_problems(self.baseline, self.measurement)

    def finish(self, *, clean: bool) -> bool:
        """Write results.json, and the baseline when asked to.

        Args:
            clean: no test has failed.

        Returns:
            Whether all is well: no finding of the baseline is missing, and what was to be written could be.
        """
        expected = CLAIMS + bool(self.parts.scaling or families(self.measurement.settings))
        whole = len({finding.claim.split(":")[0] for finding in self.findings}) >= expected
        if self.baseline is not None and self.has_baseline and whole:
            self.problems = missing_findings(self.baseline, self.findings)
        if self.update_baseline:
            self.problems = self._write_baseline() if clean and whole else ["baseline not written: claims are missing"]
        everything = [*self.findings, *self.ungated]
        path, parts = self.results / "results.json", self.parts.numbers()
        try:
            write_results(path, self.measurement, everything, self.baseline_note, parts)
        except StorageError as error:
            self.problems = [*self.problems, f"results not written: {error}"]
        return not self.problems

    def _write_baseline(self) -> list[str]:
        try:
            self.baseline_note = f"written anew: {save_baseline(self.baselines, self.measurement, self.findings)}"
        except KsError as error:
            return [f"baseline not written: {error}"]
        return []

    def summary(self) -> list[str]:
        """Lines for the end of the run."""
        selection = self.measurement.selection
        seconds = ", ".join(f"{name} {taken:.0f}" for name, taken in self.measurement.seconds.items() if taken >= 0.5)
        return [
            *table([*self.findings, *self.ungated], self.measurement.settings.model_name).splitlines(),
            "",
            "± is one standard error over facts (bootstrap) and text (halves) together. Verdicts rest on the interval:",
            "95 % over facts, widened by twice the error over text. A ? is a number that some sample leaves undefined.",
            *(["", *self.parts.tables()] if self.parts.tables() else []),
            *(f"ERROR: {problem}" for problem in self.problems),
            f"facts:    {len(selection.measured)} of {len(selection.usable)} usable, {selection.asked} in the file "
            "(results.json says what makes one usable)",
            f"baseline: {self.baseline_note}",
            f"results:  {self.results / 'results.json'} and {len(self.figures)} figures (PNG) beside it",
            *([f"seconds:  {seconds}"] if seconds else []),
        ]


def start_session(given: Mapping[str, Any], parts: Collection[str], say: Callable[[str], None]) -> PaperSession:
    """Say what is going to happen, measure, and draw the figures.

    Args:
        given: options by name; those that are fields of `Settings` override its defaults.
        parts: which of the `Parts` to measure, by name.
        say: prints one line.

    Raises:
        KsError: anything the measurement cannot use or get.
    """
    settings = Settings(**{f.name: given[f.name] for f in fields(Settings) if f.name in given})
    baselines = Path(given["baselines"]) if given.get("baselines") else fixture_path("baselines")
    baseline, note = find_baseline(baselines, request_of(settings))
    results = Path(given["results"]).resolve() / settings.model_name
    of_size = families(settings) if "scaling" in parts else {}
    for line in plan(settings, results, note, parts, of_size):
        say(line)
    results.mkdir(parents=True, exist_ok=True)  # before the work, so that a folder that cannot be written costs none
    inputs = load_inputs(settings)
    # Before the model itself: what is wrong with a family then shows early.
    scaling = tuple(measure_family(name, models, settings, say) for name, models in of_size.items())
    measurement = measure(settings, say, inputs=inputs)
    figures = write_figures(results, measurement)
    measured, drawn = _measure_parts(inputs, measurement, parts, scaling, results, say)
    update = bool(given.get("update_baseline"))
    return PaperSession(measurement, results, baselines, update, baseline, note, [*figures, *drawn], measured)


def _measure_parts(
    inputs: Inputs,
    measurement: Measurement,
    parts: Collection[str],
    scaling: tuple[FamilyScaling, ...],
    results: Path,
    say: Callable[[str], None],
) -> tuple[Parts, list[Path]]:
    name, selection = inputs.settings.model_name, measurement.selection
    streams = {"stream": (inputs.settings.num_edits, ""), "long_stream": (LONG, "-long")}
    found: dict[str, Any] = {}
    figures: list[Path] = []
    for part, (num_edits, suffix) in streams.items():
        if part in parts:
            found[part] = measure_stream(inputs, selection, num_edits, say)
            figures += write_stream_figures(results, found[part], name, suffix)
    if "dose" in parts:
        found["dose"] = measure_dose(inputs, selection, say)
        figures += write_dose_figures(results, found["dose"], name)
    if scaling:
        found |= {"scaling": scaling, "seeds": stored_seeds(inputs.settings, scaling)}
        figures += write_scaling_figure(results, scaling, found["seeds"])
    return Parts(**found), figures


def plan(
    settings: Settings,
    results: Path,
    baseline_note: str,
    parts: Collection[str] = (),
    of_size: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """What a run is going to do, about how long it takes, and where it keeps what."""
    return [
        f"measuring knowledge superposition in {settings.model} ({settings.dtype} on {settings.device})",
        f"  text      {settings.corpus}, {settings.tokens:,} tokens, read once for all layers",
        f"  facts     {settings.facts or 'packaged'}, the first {settings.num_facts} that the model knows",
        f"  edits     {_edits(settings, parts)}",
        f"  sizes     {_sizes(of_size or {})}",
        "  time      the packaged model on two cores: about 11 minutes the first time, one when its parts are cached,",
        "            6 more for edits (long streams: not timed yet), 3 for sizes; others in proportion to their size",
        f"  cache     {cache_dir()} (model, text, second moments; delete it to start anew)",
        f"  results   {results}",
        f"  baseline  {baseline_note}",
    ]


def _sizes(of_size: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{name} ({len(models)} models)" for name, models in of_size.items()) or "none"


def _edits(settings: Settings, parts: Collection[str]) -> str:
    wanted = {
        "stream": f"a stream of {settings.num_edits} by four methods",
        "long_stream": f"a stream of {LONG} by four methods",
        "dose": "single edits of one relation in several layers",
    }
    return "; ".join(words for part, words in wanted.items() if part in parts) or "none"

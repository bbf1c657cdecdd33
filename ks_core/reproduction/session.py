"""One run of the claims: the plan, the measurement, the findings as they come in, and what is written at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ks_core.data.fixtures import fixture_path
from ks_core.errors import InputError
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
from ks_core.reproduction.figures import write_figures
from ks_core.reproduction.measure import Measurement, measure
from ks_core.reproduction.report import table, write_results
from ks_core.reproduction.settings import Settings

CLAIMS = 8
"""Claims that a baseline must hold: all of `bench/paper`."""


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
    findings: list[Finding] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def has_baseline(self) -> bool:
        """Whether findings are held against a baseline: this request has one, and it is not being rewritten."""
        return self.baseline is not None and not self.update_baseline

    def record(self, findings: Sequence[Finding]) -> list[str]:
        """Add findings to the table; returns how they differ from the baseline."""
        self.findings.extend(findings)
        if self.baseline is None or not self.has_baseline:
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
        whole = len({finding.claim.split(":")[0] for finding in self.findings}) >= CLAIMS
        if self.baseline is not None and self.has_baseline and whole:
            self.problems = missing_findings(self.baseline, self.findings)
        if self.update_baseline:
            self.problems = self._write_baseline() if clean and whole else ["baseline not written: claims are missing"]
        write_results(self.results / "results.json", self.measurement, self.findings, self.baseline_note)
        return not self.problems

    def _write_baseline(self) -> list[str]:
        try:
            self.baseline_note = f"written anew: {save_baseline(self.baselines, self.measurement, self.findings)}"
        except (InputError, OSError) as error:
            return [f"baseline not written: {error}"]
        return []

    def summary(self) -> list[str]:
        """Lines for the end of the run."""
        selection = self.measurement.selection
        seconds = ", ".join(f"{name} {taken:.0f}" for name, taken in self.measurement.seconds.items() if taken >= 0.5)
        return [
            *table(self.findings, self.measurement.settings.model_name).splitlines(),
            "",
            "± is one standard error over facts (bootstrap) and text (halves) together. Verdicts rest on the interval:",
            "95 % over facts, widened by twice the error over text. A ? is a number that some sample leaves undefined.",
            *(f"ERROR: {problem}" for problem in self.problems),
            f"facts:    {len(selection.measured)} of {len(selection.usable)} usable, {selection.asked} in the file "
            "(results.json says what makes one usable)",
            f"baseline: {self.baseline_note}",
            f"results:  {self.results / 'results.json'} and {len(self.figures)} figures (PNG) beside it",
            *([f"seconds:  {seconds}"] if seconds else []),
        ]


def start_session(given: Mapping[str, Any], say: Callable[[str], None]) -> PaperSession:
    """Say what is going to happen, measure, and draw the figures.

    Args:
        given: options by name; those that are fields of `Settings` override its defaults.
        say: prints one line.

    Raises:
        KsError: anything the measurement cannot use or get.
    """
    settings = Settings(**{f.name: given[f.name] for f in fields(Settings) if f.name in given})
    baselines = Path(given["baselines"]) if given.get("baselines") else fixture_path("baselines")
    baseline, note = find_baseline(baselines, request_of(settings))
    results = Path(given["results"]).resolve() / settings.model_name
    for line in plan(settings, results, note):
        say(line)
    results.mkdir(parents=True, exist_ok=True)  # before the work, so that a folder that cannot be written costs none
    measurement = measure(settings, say)
    figures = write_figures(results, measurement)
    update = bool(given.get("update_baseline"))
    return PaperSession(measurement, results, baselines, update, baseline, note, figures)


def plan(settings: Settings, results: Path, baseline_note: str) -> list[str]:
    """What a run is going to do, about how long it takes, and where it keeps what."""
    return [
        f"measuring knowledge superposition in {settings.model} ({settings.dtype} on {settings.device})",
        f"  text      {settings.corpus}, {settings.tokens:,} tokens, read once for all layers",
        f"  facts     {settings.facts or 'packaged'}, the first {settings.num_facts} that the model knows",
        "  time      the packaged model on two cores: about 11 minutes the first time, one when its parts are cached;",
        "            other models in proportion to their parameters and to the tokens",
        f"  cache     {cache_dir()} (model, text, second moments; delete it to start anew)",
        f"  results   {results}",
        f"  baseline  {baseline_note}",
    ]

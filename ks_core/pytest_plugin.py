"""pytest plugin: the `--ks-*` options, one measurement per session, and the table of claims at its end.

Nothing is done, printed or imported until a test requests one of the fixtures, so that having the package installed
costs other test suites nothing. What a claim needs is measured when the first test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from ks_core.errors import KsError
from ks_core.formatting import one_line, printable, shown
from ks_core.pytest_options import OPTIONS
from ks_core.pytest_session import SESSION, session_of

if TYPE_CHECKING:
    from ks_core.claims.claim import Claim
    from ks_core.claims.finding import Finding
    from ks_core.experiments.capacity.measure import Capacity
    from ks_core.experiments.dose.measure import DoseMeasurement
    from ks_core.experiments.lifelong.measurement import Lifelong
    from ks_core.experiments.measured import Measured, Part
    from ks_core.experiments.pairs.measure import Measurement
    from ks_core.experiments.sizes.measure import SizesMeasurement
    from ks_core.experiments.streams.measure import StreamMeasurement
    from ks_core.reporting.session import PaperSession


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options; `pytest --help` lists them under "knowledge superposition"."""
    group = parser.getgroup("ks_core", "knowledge superposition (ks_core)")
    for name, how in OPTIONS.items():
        group.addoption(name, **how)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, so that projects that use the fixtures need not."""
    config.addinivalue_line("markers", "paper: measures a claim of the paper on a real model (ks_core)")


def _session(request: pytest.FixtureRequest) -> PaperSession:
    """The run's session; it starts now, where no test has asked before."""
    try:
        return session_of(request.config)
    except KsError as error:
        pytest.fail(one_line(error), pytrace=False)


def _measured(request: pytest.FixtureRequest, part: Part) -> Measured:
    """What the session has measured, this part among it."""
    try:
        return session_of(request.config, part).measured
    except KsError as error:
        pytest.fail(one_line(error), pytrace=False)


@pytest.fixture(scope="session")
def ks_measurement(request: pytest.FixtureRequest) -> Measurement:
    """The measurement of the model, text and facts that the `--ks-*` options name."""
    return _measured(request, "pairs").pairs


@pytest.fixture(scope="session")
def ks_stream(request: pytest.FixtureRequest) -> StreamMeasurement | None:
    """A stream of `--ks-num-edits` edits by four methods."""
    return _measured(request, "stream").stream


@pytest.fixture(scope="session")
def ks_dose(request: pytest.FixtureRequest) -> DoseMeasurement | None:
    """Single edits of facts of one relation, and what they did to the others."""
    return _measured(request, "dose").dose


@pytest.fixture(scope="session")
def ks_sizes(request: pytest.FixtureRequest) -> SizesMeasurement | None:
    """Superposition of families of models against their size; of no family where none was named for another model."""
    return _measured(request, "sizes").sizes


@pytest.fixture(scope="session")
def ks_lifelong(request: pytest.FixtureRequest) -> Lifelong | None:
    """Hundreds of edits in several orders, by every method."""
    return _measured(request, "lifelong").lifelong


@pytest.fixture(scope="session")
def ks_capacity(request: pytest.FixtureRequest) -> Capacity | None:
    """Streams of edits on small models, up to and beyond as many as keys have dimensions."""
    return _measured(request, "capacity").capacity


@pytest.fixture
def ks_record(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Put findings on the table of claims and hold them against the baseline.

    With a baseline the test fails when a verdict changed or a value left its band. Without one the claim is judged
    alone: a claim that does not hold, or cannot be decided, is reported as an expected failure, never as passed. So are
    findings that are recorded with `gate=False`, which no baseline holds.
    """
    paper, test = _session(request), request.node.nodeid
    from ks_core.claims.finding import Finding

    def record(findings: Sequence[Finding], *, gate: bool = True) -> None:
        if not isinstance(findings, (list, tuple)) or not all(isinstance(of, Finding) for of in findings):
            pytest.fail(f"ks_record got {shown(findings)}; expected a list of Findings", pytrace=False)
        problems = paper.record(findings, test, gate=gate)
        if problems:
            pytest.fail("\n".join(map(printable, problems)), pytrace=False)
        open_or_failing = [f"{f.id} {f.verdict.value}" for f in findings if f.verdict.value != "holds"]
        if open_or_failing and not (gate and paper.gates(test)):
            pytest.xfail(printable("; ".join(open_or_failing)))

    return record


@pytest.fixture
def ks_judge(request: pytest.FixtureRequest, ks_record: Callable[..., None]) -> Callable[[Claim], None]:
    """Measure what a claim needs, judge it and record what is found; skips, with the reason, where it does not apply.

    A claim whose `gate` is "always" fails the test where a finding does not hold.
    """
    from ks_core.claims.finding import NotApplicable
    from ks_core.reporting.all_claims import off

    paper = _session(request)

    def judge(claim: Claim) -> None:
        measured = _measured(request, claim.needs)
        try:
            outcome = claim.judge(measured)
        except KsError as error:
            pytest.fail(one_line(error), pytrace=False)
        paper.claims.setdefault(claim.name, claim)
        if isinstance(outcome, NotApplicable):
            paper.not_applicable[claim.name] = outcome
            pytest.skip(printable(outcome.reason))
        if claim.gate == "always":
            problems = paper.record(outcome, request.node.nodeid, gate=False)
            problems += [off(finding) for finding in outcome if finding.verdict.value != "holds"]
            if problems:
                pytest.fail("\n".join(map(printable, problems)), pytrace=False)
        else:
            ks_record(outcome, gate=claim.gate == "baseline")

    return judge


@pytest.fixture
def ks_baseline_problems(request: pytest.FixtureRequest) -> list[str]:
    """How inputs and per-layer statistics differ from the baseline; skips where there is none for this request."""
    paper = _session(request)
    if not paper.has_baseline:
        pytest.skip(f"not compared with a baseline: {printable(paper.baseline_note)}")
    return paper.measurement_problems()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write results.json, the baseline where that was asked for, and the figures."""
    paper = session.config.stash.get(SESSION, None)
    if paper is None:
        return
    clean = exitstatus == pytest.ExitCode.OK
    finished = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not session.shouldfail
    collected = [item.nodeid for item in session.items]
    if not paper.finish(collected, clean=clean, whole=finished and not session.shouldstop) and clean:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print one line a claim and where everything was written."""
    paper = terminalreporter.config.stash.get(SESSION, None)
    if paper is not None:
        from ks_core.reporting.screen import screen_of

        terminalreporter.section("claims of the paper")
        for line in paper.summary(screen_of(), verbose=terminalreporter.config.get_verbosity() > 0):
            for text, colour in line.parts():
                terminalreporter.write(text, **{colour: True} if colour else {})
            terminalreporter.write_line("")

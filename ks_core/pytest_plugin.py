"""pytest plugin: the `--ks-*` options, one measurement per session, and the table of claims at its end.

Nothing is done, printed or imported until a test that was collected requests one of the fixtures, so that having the
package installed costs other test suites nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from ks_core import defaults
from ks_core.command import given, integer, integers, number
from ks_core.errors import KsError
from ks_core.formatting import one_line, printable
from ks_core.pytest_session import ONE_PROCESS, SESSION, is_worker, session_of

if TYPE_CHECKING:
    from ks_core.claims.finding import Finding
    from ks_core.experiments.editing import DoseMeasurement, StreamMeasurement
    from ks_core.experiments.pairs.measure import Measurement
    from ks_core.reporting.parts import Parts
    from ks_core.reporting.session import PaperSession

PARTS = {"ks_stream": "stream", "ks_long_stream": "long_stream", "ks_dose": "dose", "ks_scaling": "scaling"}
"""Fixtures, and what is measured for them besides the model itself."""

FIXTURES = {*PARTS, "ks_measurement", "ks_record", "ks_baseline_problems"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options; `pytest --help` lists them under "knowledge superposition"."""
    group = parser.getgroup("ks_core", "knowledge superposition (ks_core)")
    add = group.addoption
    add(
        "--ks-model",
        type=given,
        metavar="MODEL",
        help=f"packaged model, local folder or hub id (default: {defaults.MODEL})",
    )
    group.addoption(
        "--ks-family",
        dest="ks_families",
        type=given,
        metavar="MODEL",
        nargs="+",
        action="append",
        help="two or more models of one family, for the claim about size; can be given again for another family "
        "(default: the project's own three families, when the model is the default)",
    )
    add("--ks-revision", type=given, metavar="REV", help="branch, tag or commit of a hub model")
    add(
        "--ks-corpus",
        type=given,
        metavar="TEXT",
        help="packaged text, .txt/.jsonl/.parquet file or folder, hub:dataset:config:split",
    )
    add(
        "--ks-facts",
        type=given,
        metavar="FILE",
        help="facts: CounterFact JSON or a file in ks_core's schema (default: packaged)",
    )
    add("--ks-num-facts", type=integer(), metavar="N", help=f"known facts to measure (default: {defaults.NUM_FACTS})")
    add(
        "--ks-num-edits",
        type=integer(),
        metavar="N",
        help=f"facts to edit one after another (default: {defaults.NUM_EDITS})",
    )
    add(
        "--ks-tokens",
        type=integer(),
        metavar="N",
        help=f"tokens of text for the second moments (default: {defaults.TOKENS})",
    )
    add("--ks-layers", type=integers, metavar="L,L,…", help="layers to measure, such as 0,8,16 (default: all)")
    add("--ks-device", type=given, metavar="DEVICE", help=f"torch device (default: {defaults.DEVICE})")
    add(
        "--ks-dtype",
        type=given,
        metavar="DTYPE",
        help=f"of the forward passes: float32, float64, bfloat16 or float16 (default: {defaults.DTYPE})",
    )
    add(
        "--ks-ridge",
        type=number,
        metavar="R",
        help="added to all eigenvalues of second moments, in mean eigenvalues (default: 0)",
    )
    add(
        "--ks-longest-text",
        type=integer(),
        metavar="N",
        help=f"tokens after which a text is cut (default: {defaults.LONGEST_TEXT})",
    )
    add(
        "--ks-batch-tokens",
        type=integer(),
        metavar="N",
        help=f"tokens in one forward pass over text (default: {defaults.BATCH_TOKENS})",
    )
    add(
        "--ks-resamples",
        type=integer(),
        metavar="B",
        help=f"bootstrap samples of the facts (default: {defaults.RESAMPLES})",
    )
    add(
        "--ks-seed",
        type=integer(),
        metavar="SEED",
        help="of the bootstrap, the null model, the laws' examples (default: 0)",
    )
    group.addoption(
        "--ks-results",
        type=given,
        metavar="DIR",
        default="ks-results",
        help="results and figures go to DIR/MODEL (default: ks-results)",
    )
    group.addoption(
        "--ks-baselines", type=given, metavar="DIR", help="folder of baselines (default: those of the project)"
    )
    group.addoption("--ks-update-baseline", action="store_true", help="write the baseline of this request anew")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, so that projects that use the fixtures need not."""
    config.addinivalue_line("markers", "paper: measures a claim of the paper on a real model (ks_core)")
    config.addinivalue_line("markers", "ks_slow: the same on long streams of edits (ks_core)")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In one of several processes, run nothing at all where any test needs the measurement; the main one says why."""
    if is_worker(config) and _wanted(items):
        config.workeroutput["ks_core"] = ONE_PROCESS  # type: ignore[attr-defined]
        items.clear()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """In the main process of several: refuse, where one of them found tests that need the measurement."""
    refused = getattr(node, "workeroutput", {}).get("ks_core")
    if refused:
        raise pytest.UsageError(refused)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Measure before the first test when any test needs it: what cannot be used then ends the run in one line."""
    config = session.config
    wanted = _wanted(session.items)
    idle = config.option.collectonly or config.getoption("setupplan", False) or session.testsfailed
    if not wanted or idle:
        return
    try:
        session_of(config, {PARTS[name] for name in wanted if name in PARTS})
    except KsError as error:
        raise pytest.UsageError(one_line(error)) from None


def _wanted(items: Sequence[pytest.Item]) -> set[str]:
    """Our fixtures that the tests request, themselves or through others; of tests that are skipped anyway none."""
    tests = [item for item in items if item.get_closest_marker("skip") is None]
    requested = [(item, name) for item in tests for name in FIXTURES.intersection(getattr(item, "fixturenames", ()))]
    return {name for item, name in requested if _is_ours(item, name)}


def _is_ours(item: pytest.Item, name: str) -> bool:
    """Whether a test's fixture of this name is that of this file: a project can put its own in its place."""
    info = getattr(item, "_fixtureinfo", None)  # pytest has no public way to see which fixture a test gets
    for definition in reversed(info.name2fixturedefs.get(name, ()) if info else ()):
        if definition.func.__module__ == __name__:
            return True
        if name not in definition.argnames:
            return False
    return False


def _requested(request: pytest.FixtureRequest, *parts: str) -> PaperSession:
    """The session for a fixture; measured now, where no test said before the run that it needs it."""
    try:
        return session_of(request.config, parts)
    except KsError as error:
        pytest.fail(one_line(error), pytrace=False)


@pytest.fixture(scope="session")
def ks_measurement(request: pytest.FixtureRequest) -> Measurement:
    """The measurement of the model, text and facts that the `--ks-*` options name."""
    return _requested(request).measurement


@pytest.fixture(scope="session")
def ks_stream(request: pytest.FixtureRequest) -> StreamMeasurement | None:
    """A stream of `--ks-num-edits` edits by four methods."""
    return _requested(request, "stream").parts.stream


@pytest.fixture(scope="session")
def ks_long_stream(request: pytest.FixtureRequest) -> StreamMeasurement | None:
    """A stream of 128 edits by four methods."""
    return _requested(request, "long_stream").parts.long_stream


@pytest.fixture(scope="session")
def ks_dose(request: pytest.FixtureRequest) -> DoseMeasurement | None:
    """Single edits of facts of one relation, and what they did to the others."""
    return _requested(request, "dose").parts.dose


@pytest.fixture(scope="session")
def ks_scaling(request: pytest.FixtureRequest) -> Parts:
    """Superposition of families of models against their size; skips where no family was named for another model."""
    parts = _requested(request, "scaling").parts
    if not parts.scaling:
        pytest.skip("no sizes: name a family (--ks-family MODEL MODEL …), or take the default model and facts")
    return parts


@pytest.fixture
def ks_record(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Put findings on the table of claims and hold them against the baseline.

    With a baseline the test fails when a verdict changed or a value left its band. Without one the claim is judged
    alone: a claim that does not hold, or cannot be decided, is reported as an expected failure, never as passed. So are
    findings that are recorded with `gate=False`, which no baseline holds.
    """
    paper, test = _requested(request), request.node.nodeid

    def record(findings: Sequence[Finding], *, gate: bool = True) -> None:
        problems = paper.record(findings, test, gate=gate)
        if problems:
            pytest.fail("\n".join(map(printable, problems)), pytrace=False)
        open_or_failing = [f"{f.claim} {f.verdict.value}" for f in findings if f.verdict.value != "holds"]
        if open_or_failing and not (gate and paper.gates(test)):
            pytest.xfail(printable("; ".join(open_or_failing)))

    return record


@pytest.fixture
def ks_baseline_problems(request: pytest.FixtureRequest) -> list[str]:
    """How inputs and per-layer statistics differ from the baseline; skips where there is none for this request."""
    paper = _requested(request)
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
    """Print the table of claims and where everything was written."""
    paper = terminalreporter.config.stash.get(SESSION, None)
    if paper is not None:
        terminalreporter.section("claims of the paper")
        for line in paper.summary():
            terminalreporter.write_line(line)

"""pytest plugin: the `--ks-*` options, one measurement per session, and the table of claims at its end.

Nothing heavy is imported until a test asks for a measurement, so that having the package installed costs other test
suites nothing.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ks_core.reproduction.claims import Finding
    from ks_core.reproduction.editing import DoseMeasurement, StreamMeasurement
    from ks_core.reproduction.measure import Measurement
    from ks_core.reproduction.session import PaperSession, Parts

SESSION: pytest.StashKey[PaperSession] = pytest.StashKey()
PARTS = {"ks_stream": "stream", "ks_long_stream": "long_stream", "ks_dose": "dose", "ks_scaling": "scaling"}
"""Fixtures, and what is measured for them besides the model itself."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options; `pytest --help` lists them under "knowledge superposition"."""
    group = parser.getgroup("ks_core", "knowledge superposition (ks_core)")
    add = group.addoption
    add("--ks-model", metavar="MODEL", help="packaged model, local folder or hub id (default: smollm2-135m-instruct)")
    group.addoption(
        "--ks-family",
        dest="ks_families",
        metavar="MODEL",
        nargs="+",
        action="append",
        help="two or more models of one family, for the claim about size; can be given again for another family "
        "(default: the project's own three families, when the model is the default)",
    )
    add("--ks-revision", metavar="REV", help="branch, tag or commit of a hub model")
    add(
        "--ks-corpus",
        metavar="TEXT",
        help="packaged text, .txt/.jsonl/.parquet file or folder, hub:dataset:config:split",
    )
    add("--ks-facts", metavar="FILE", help="facts: CounterFact JSON or a file in ks_core's schema (default: packaged)")
    add("--ks-num-facts", type=int, metavar="N", help="known facts to measure (default: 128)")
    add("--ks-num-edits", type=int, metavar="N", help="facts to edit one after another (default: 32)")
    add("--ks-tokens", type=int, metavar="N", help="tokens of text for the second moments (default: 131072)")
    add("--ks-layers", type=_layers, metavar="L,L,…", help="layers to measure, such as 0,8,16 (default: all)")
    add("--ks-device", metavar="DEVICE", help="torch device (default: cpu)")
    add(
        "--ks-dtype",
        metavar="DTYPE",
        help="of the forward passes: float32 (default), float64, bfloat16, float16",
    )
    add(
        "--ks-ridge",
        type=float,
        metavar="R",
        help="added to all eigenvalues of second moments, in mean eigenvalues (default: 0)",
    )
    add("--ks-longest-text", type=int, metavar="N", help="tokens after which a text is cut (default: 1024)")
    add("--ks-batch-tokens", type=int, metavar="N", help="tokens in one forward pass over text (default: 2048)")
    add("--ks-resamples", type=int, metavar="B", help="bootstrap samples of the facts (default: 400)")
    add("--ks-seed", type=int, metavar="SEED", help="of the bootstrap, the null model, the laws' examples (default: 0)")
    group.addoption(
        "--ks-results",
        metavar="DIR",
        default="ks-results",
        help="results and figures go to DIR/MODEL (default: ks-results)",
    )
    group.addoption("--ks-baselines", metavar="DIR", help="folder of baselines (default: those of the project)")
    group.addoption("--ks-update-baseline", action="store_true", help="write the baseline of this request anew")


def _layers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}; expected layer numbers, such as 0,8,16") from None


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, so that projects that use the fixtures need not."""
    config.addinivalue_line("markers", "paper: measures a claim of the paper on a real model")
    config.addinivalue_line("markers", "slow: the same on long streams of edits")
    if _asks_for_paper(config) and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("the claims share one measurement; run them in one process, without -n")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Measure before the first test when any test needs it, outside of pytest's capture: progress is then seen."""
    config = session.config
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    parts = {part for name, part in PARTS.items() if name in wanted}
    if not (parts or "ks_measurement" in wanted) or config.option.collectonly or session.testsfailed:
        return
    from ks_core.errors import KsError
    from ks_core.files import cache_dir
    from ks_core.reproduction.session import start_session

    try:
        with warnings.catch_warnings():
            # A project's `filterwarnings = error` is for its tests; what a library says about a model is no failure.
            warnings.simplefilter("default")
            config.stash[SESSION] = start_session(_given(config), parts, say=partial(print, flush=True))
    except KsError as error:
        raise pytest.UsageError(str(error)) from None
    except OSError as error:
        folders = f"results go to {config.option.ks_results} (--ks-results), the rest to {cache_dir()} ($KS_CORE_CACHE)"
        raise pytest.UsageError(f"{error}; expected folders that can be written: {folders}") from None


def _given(config: pytest.Config) -> dict[str, Any]:
    options = vars(config.option).items()
    given = {name.removeprefix("ks_"): value for name, value in options if name.startswith("ks_") and value is not None}
    if "families" in given:
        given["families"] = tuple(map(tuple, given["families"]))
    # In a checkout its own baselines, even where the package under test is an installed copy: they can be rewritten.
    checkout = config.rootpath / "fixtures" / "baselines"
    return {"baselines": checkout, **given} if checkout.is_dir() else given


@pytest.fixture(scope="session")
def ks_measurement(request: pytest.FixtureRequest) -> Measurement:
    """The measurement of the model, text and facts that the `--ks-*` options name."""
    return request.config.stash[SESSION].measurement


@pytest.fixture(scope="session")
def ks_stream(request: pytest.FixtureRequest) -> StreamMeasurement | None:
    """A stream of `--ks-num-edits` edits by four methods."""
    return request.config.stash[SESSION].parts.stream


@pytest.fixture(scope="session")
def ks_long_stream(request: pytest.FixtureRequest) -> StreamMeasurement | None:
    """A stream of 128 edits by four methods."""
    return request.config.stash[SESSION].parts.long_stream


@pytest.fixture(scope="session")
def ks_dose(request: pytest.FixtureRequest) -> DoseMeasurement | None:
    """Single edits of facts of one relation, and what they did to the others."""
    return request.config.stash[SESSION].parts.dose


@pytest.fixture(scope="session")
def ks_scaling(request: pytest.FixtureRequest) -> Parts:
    """Superposition of families of models against their size; skips where no family was named for another model."""
    parts = request.config.stash[SESSION].parts
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
    paper = request.config.stash[SESSION]

    def record(findings: Sequence[Finding], *, gate: bool = True) -> None:
        problems = paper.record(findings, gate=gate)
        if problems:
            pytest.fail("\n".join(problems), pytrace=False)
        open_or_failing = [f"{f.claim} {f.verdict.value}" for f in findings if f.verdict.value != "holds"]
        if open_or_failing and not (gate and paper.has_baseline):
            pytest.xfail("; ".join(open_or_failing))

    return record


@pytest.fixture
def ks_baseline_problems(request: pytest.FixtureRequest) -> list[str]:
    """How inputs and per-layer statistics differ from the baseline; skips where there is none for this request."""
    paper = request.config.stash[SESSION]
    if not paper.has_baseline:
        pytest.skip(f"not compared with a baseline: {paper.baseline_note}")
    return paper.measurement_problems()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write results.json, and the baseline where that was asked for."""
    paper = session.config.stash.get(SESSION, None)
    if paper is not None:
        clean = exitstatus == pytest.ExitCode.OK
        if not paper.finish(clean=clean) and clean:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table of claims and where everything was written."""
    paper = terminalreporter.config.stash.get(SESSION, None)
    if paper is not None:
        terminalreporter.section("claims of the paper")
        for line in paper.summary():
            terminalreporter.write_line(line)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name the package's version beside pytest's own."""
    from ks_core import __version__

    return f"ks_core {__version__}, results in {Path(config.option.ks_results)}" if _asks_for_paper(config) else None


def _asks_for_paper(config: pytest.Config) -> bool:
    expression = config.option.markexpr or ""
    return any(name in expression and f"not {name}" not in expression for name in ("paper", "slow"))

"""pytest plugin: options, header and table of the conformance suite (`ks_core.conformance`).

Nothing of the suite is imported until one of its options is given or a test module imports it, so that having the
package installed costs other test suites nothing.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ks_core.errors import KsError

if TYPE_CHECKING:
    from ks_core.conformance.binding import BoundLaw
    from ks_core.conformance.checking import Subject

SUITE = "ks_core.conformance.test_laws"
SUBJECTS: pytest.StashKey[Sequence[Subject]] = pytest.StashKey()
LISTS: pytest.StashKey[dict[str, dict[str, str]]] = pytest.StashKey()
FORMS = {
    "editor": "edit(weight, keys, values, second_moment) -> new weight",
    "collector": "collect(shards) -> second moment",
    "extractor": "extract(model, tokenizer, prompts, subject_spans, layer) -> keys",
}
"""what is held against the laws, each with its option `--ks-NAME`"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options; `pytest --help` lists them under "laws of editors"."""
    add = parser.getgroup("ks_core_laws", "laws of editors (ks_core.conformance)").addoption
    for subject, form in FORMS.items():
        add(f"--ks-{subject}", metavar="MODULE:NAME", help=f"hold {form} against the laws")
    add("--ks-xfails", type=Path, metavar="FILE", help="laws known to be broken, one a line, the reason behind #")
    add("--ks-skips", type=Path, metavar="FILE", help="laws not to be tried, one a line, the reason behind #")
    add("--ks-max-examples", type=int, metavar="N", help="examples of each law (default: 50)")
    add("--ks-json", type=Path, metavar="FILE", help="write the results of all laws there")


def pytest_configure(config: pytest.Config) -> None:
    """Import what is to be tried, and read the lists, before anything is collected."""
    config.stash[SUBJECTS] = ()
    config.stash[LISTS] = {}
    given = {name: config.getoption(f"ks_{name}") for name in FORMS if config.getoption(f"ks_{name}")}
    files = {name: path for name in ("xfails", "skips") if (path := config.getoption(f"ks_{name}"))}
    examples = config.getoption("ks_max_examples")
    if examples is not None and examples < 1:
        raise pytest.UsageError(f"--ks-max-examples is {examples}; expected at least 1")
    if not given and not files:
        return
    try:
        from ks_core.conformance.finding import imported, laws_in

        subjects = [_subject(name, imported(f"--ks-{name}", spec), spec) for name, spec in given.items()]
        config.stash[SUBJECTS] = subjects
        for name, path in files.items():
            config.stash[LISTS][name] = laws_in(f"--ks-{name}", path)
    except (KsError, ImportError) as error:
        raise pytest.UsageError(str(error)) from None


def _subject(name: str, implementation: Any, spec: str) -> Subject:
    from ks_core.conformance.collectors import Collector
    from ks_core.conformance.editors import Editor
    from ks_core.conformance.extractors import Extractor

    kinds: dict[str, Any] = {"editor": Editor, "collector": Collector, "extractor": Extractor}
    subject: Subject = kinds[name].of(implementation, name=spec)
    return subject


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is tried, its version, and where."""
    if not config.stash[SUBJECTS]:
        return []
    from ks_core.conformance.report import header

    return header(config.stash[SUBJECTS])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give the suite one test for each law of each thing that is tried."""
    if metafunc.module.__name__ != SUITE:
        return
    from ks_core.conformance.binding import bound_laws

    subjects = metafunc.config.stash[SUBJECTS]
    if not subjects:
        options = ", ".join(f"--ks-{name}" for name in FORMS)
        raise pytest.Collector.CollectError(
            f"nothing to hold against the laws; expected at least one of {options} with an import path, such as "
            "--ks-editor their_package.module:function"
        )
    laws = [bound for subject in subjects for bound in bound_laws(subject)]
    metafunc.parametrize("law", laws, ids=[bound.law.name for bound in laws])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the options on the laws, and the marks of the lists; warn of names in the lists that no test has."""
    bound = [(item, law) for item in items if (law := _bound_law(item))]
    for item, law in bound:
        law.max_examples = config.getoption("ks_max_examples") or law.max_examples
        law.seed = config.getoption("ks_seed", None) or law.seed
        item.user_properties.append(("ks_tried", _row(law)))
        for option, mark in (("skips", pytest.mark.skip), ("xfails", pytest.mark.xfail)):
            reasons = config.stash[LISTS].get(option, {})
            if law.law.name in reasons:
                item.add_marker(mark(reason=reasons[law.law.name] or f"listed in --ks-{option}"))
    _warn_of_unmatched(config, {law.law.name for _, law in bound})


def _warn_of_unmatched(config: pytest.Config, tried: set[str]) -> None:
    if not config.stash[LISTS]:
        return
    from ks_core.conformance.finding import unmatched

    for option, laws in config.stash[LISTS].items():
        for complaint in unmatched(laws, tried):
            warnings.warn(pytest.PytestWarning(f"--ks-{option}: {complaint}"), stacklevel=1)


def _bound_law(item: pytest.Item) -> BoundLaw | None:
    """The law that a test is about; None for the tests of other suites."""
    if "ks_core.conformance" not in sys.modules:
        return None
    from ks_core.conformance.binding import BoundLaw

    parameters = getattr(getattr(item, "callspec", None), "params", {}).values()
    return next((value for value in parameters if isinstance(value, BoundLaw)), None)


def _row(law: BoundLaw) -> dict[str, Any]:
    from ks_core.conformance.results import LawResult

    result = law.result or LawResult(law.law.name, "skipped")
    return {"subject": law.subject.subject, "implementation": law.subject.name, **result.as_dict()}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """Leave the result in the test's report, which also travels between processes."""
    try:
        return (yield)
    finally:
        law = _bound_law(item)
        if law is not None and law.result is not None:
            item.user_properties.append(("ks_result", _row(law)))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table of laws, and write the JSON file."""
    reports = [report for some in terminalreporter.stats.values() for report in some]  # deselected items among them
    rows = [row for report in reports if isinstance(report, pytest.TestReport) and (row := _reported(report))]
    if not rows:
        return
    from ks_core.conformance.report import table, write_json

    terminalreporter.section("laws of ks_core.conformance")
    for line in table(rows):
        terminalreporter.write_line(line)
    path = config.getoption("ks_json")
    if path:
        try:
            write_json(path, config.stash[SUBJECTS], rows)
        except KsError as error:
            raise pytest.UsageError(str(error)) from None
        terminalreporter.write_line(f"results in {path}")


def _reported(report: pytest.TestReport) -> dict[str, Any] | None:
    """The row of one report: its law's result with pytest's outcome, marks included."""
    properties: dict[str, Any] = dict(report.user_properties)
    row: dict[str, Any] | None = properties.get("ks_result", properties.get("ks_tried"))
    if row is None or not (report.when == "call" or report.outcome != "passed"):
        return None
    reason = getattr(report, "wasxfail", "").removeprefix("reason: ")
    expected = {"skipped": "xfailed", "passed": "xpassed"}
    outcome = expected[report.outcome] if hasattr(report, "wasxfail") else report.outcome
    if not reason and report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
    return {**row, "outcome": outcome, "reason": reason or row["reason"]}

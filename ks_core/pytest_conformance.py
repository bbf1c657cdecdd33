"""pytest plugin: options, header and table of the conformance suite (`ks_core.conformance`).

Nothing of the suite is imported until one of its options is given or a test module imports it, so that having the
package installed costs other test suites nothing.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from ks_core.command import given, imported, integer, path
from ks_core.errors import KsError
from ks_core.formatting import one_line, printable
from ks_core.outputs import check_output

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
        more = "; where claims are measured, run it in the streams of edits too" if subject == "editor" else ""
        add(
            f"--ks-{subject}",
            type=given,
            action="append",
            metavar="MODULE:NAME",
            help=f"hold {form} against the laws{more}; can be given several times",
        )
    add("--ks-xfails", type=path, metavar="FILE", help="laws known to be broken, one a line, the reason after #")
    add("--ks-skips", type=path, metavar="FILE", help="laws not to be tried, one a line, the reason after #")
    add("--ks-max-examples", type=integer(1), metavar="N", help="examples of each law (default: 50)")
    add("--ks-json", type=path, metavar="FILE", help="write the results of all laws there")


def pytest_configure(config: pytest.Config) -> None:
    """Import what is to be tried, and read the lists, before anything is collected."""
    config.stash[SUBJECTS] = ()
    config.stash[LISTS] = {}
    specs = [(name, spec) for name in FORMS for spec in dict.fromkeys(config.getoption(f"ks_{name}") or ())]
    files = {name: file for name in ("xfails", "skips") if (file := config.getoption(f"ks_{name}"))}
    written = config.getoption("ks_json")
    if not specs and not files and not written:
        return
    try:
        from ks_core.conformance.importing import laws_in

        subjects = [_subject(name, imported(f"--ks-{name}", spec), spec) for name, spec in specs]
        config.stash[SUBJECTS] = subjects
        for name, file in files.items():
            config.stash[LISTS][name] = laws_in(f"--ks-{name}", file)
        if written:
            check_output("--ks-json", written, {f"--ks-{name}": file for name, file in files.items()} | _sources(specs))
    except (KsError, ImportError) as error:
        raise pytest.UsageError(one_line(error)) from None


def _sources(specs: Sequence[tuple[str, str]]) -> dict[str, str | None]:
    """The files that what is tried was imported from, by option."""
    modules = {f"--ks-{name} {spec}": sys.modules[spec.partition(":")[0]] for name, spec in specs}
    return {option: getattr(module, "__file__", None) for option, module in modules.items()}


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
    several = len({bound.subject.name for bound in laws}) > 1
    ids = [f"{bound.law.name}-{bound.subject.name}" if several else bound.law.name for bound in laws]
    metafunc.parametrize("law", laws, ids=ids)


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
    from ks_core.conformance.importing import unmatched

    for option, laws in config.stash[LISTS].items():
        for complaint in unmatched(laws, tried):
            warnings.warn(pytest.PytestWarning(one_line(f"--ks-{option}: {complaint}")), stacklevel=1)


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


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Leave the result where the test's report, made next, takes it from; it also travels between processes."""
    law = _bound_law(item) if call.when == "call" else None
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
    written = config.getoption("ks_json")
    if written:
        try:
            write_json(written, config.stash[SUBJECTS], rows)
        except KsError as error:
            raise pytest.UsageError(f"--ks-json: {one_line(error)}") from None
        terminalreporter.write_line(f"results in {printable(written)}")


def _reported(report: pytest.TestReport) -> dict[str, Any] | None:
    """The row of one report: its law's result with pytest's outcome, marks included."""
    properties: dict[str, Any] = dict(report.user_properties)
    row: dict[str, Any] | None = properties.get("ks_result", properties.get("ks_tried"))
    if row is None or not (report.when == "call" or report.outcome != "passed"):
        return None
    reason = getattr(report, "wasxfail", "").removeprefix("reason: ")
    expected = {"skipped": "xfailed", "passed": "xpassed"}
    outcome = expected[report.outcome] if hasattr(report, "wasxfail") else report.outcome
    if row["outcome"] == "undecided" and outcome == "skipped":
        outcome = "undecided"
    if not reason and report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
    return {**row, "outcome": outcome, "reason": reason or row["reason"]}

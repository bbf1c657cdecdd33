"""The plugin in projects of others: unnoticed where its fixtures are not requested, in one process where they are."""

from __future__ import annotations

import re

import pytest
from foreign import inputs_as_options, run_pytest, write_project
from measured import write_everything

OWN = """
import pytest

@pytest.mark.slow
def test_slow():
    pass

@pytest.mark.paper_work
def test_other():
    pass

def test_third():
    pass
"""
INI = "[pytest]\nmarkers =\n    slow: of this project\n    paper_work: of this project\naddopts = --strict-markers\n"
AWAY = ("-p", "no:ks_core", "-p", "no:ks_core_conformance")
ONE_PROCESS = "the claims share one measurement; run them in one process: without -n, or with -n 0"


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_everything(tmp_path_factory.mktemp("inputs"), "llama")


def told(done):
    """The lines of a run in any order, as workers have none, without times, plugins and the progress of each worker."""
    lines = re.sub(r"=+|in [\d.]+s( \([\d:]+\))?|\[gw\d\]", "", done.stdout + done.stderr).splitlines()
    return sorted(line for line in lines if not line.startswith("plugins:"))


@pytest.mark.parametrize(
    "options",
    [
        ("-m", "slow", "-n", "2"),
        ("-m", "", "-n", "2"),
        ("-m", "not slow", "-v"),
        ("-n", "0", "--setup-plan", "--strict-config"),
    ],
    ids=" ".join,
)
def test_a_suite_that_requests_no_fixture_does_not_notice_the_plugin(tmp_path, options):
    project = write_project(tmp_path, own=OWN, ini=INI)
    with_it, without = run_pytest(project, *options), run_pytest(project, *options, *AWAY)
    assert with_it.returncode == without.returncode == 0, with_it.stdout + with_it.stderr
    assert told(with_it) == told(without)
    assert not list(project.glob("ks-results*"))


def test_only_the_marker_paper_is_registered(tmp_path):
    project = write_project(tmp_path)
    with_it, without = (set(run_pytest(project, "--markers", *options).stdout.splitlines()) for options in ((), AWAY))
    names = {line.removeprefix("@pytest.mark.").split(":")[0] for line in with_it - without}
    assert names == {"paper"}


def test_fixtures_of_ones_own_under_our_names_are_ones_own(tmp_path):
    """Stubs put in the place of ours, and parameters of the name: nothing is measured, in any number of processes."""
    conftest = "import pytest\n\n@pytest.fixture\ndef ks_measurement():\n    return 7\n"
    own = (
        "import pytest\n\ndef test_stub(ks_measurement):\n    assert ks_measurement == 7\n\n"
        "@pytest.mark.parametrize('ks_stream', [1])\ndef test_parameter(ks_stream):\n    assert ks_stream == 1\n"
    )
    project = write_project(tmp_path, own=own, conftest=conftest)
    for options in ((), ("-n", "2")):
        done = run_pytest(project, "--ks-model=nowhere", *options)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "2 passed" in done.stdout
        assert "knowledge superposition" not in done.stdout


def test_tests_that_are_skipped_ask_for_nothing(tmp_path):
    own = "import pytest\n\n@pytest.mark.skip(reason='no')\ndef test_skipped(ks_stream):\n    pass\n"
    for options in (("--ks-model=nowhere",), ("-n", "2"), ("--setup-plan",)):
        done = run_pytest(write_project(tmp_path, own=own), *options)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 skipped" in done.stdout


@pytest.mark.parametrize(
    "options",
    [
        ("-n", "2"),
        ("-m", "", "-n", "2"),
        ("-m", "not paper", "-n", "1"),
        ("-p", "xdist", "-n", "auto"),
        ("--dist=each", "--tx=2*popen"),
        ("--dist=loadfile", "-n", "2"),
    ],
    ids=" ".join,
)
def test_in_several_processes_a_test_that_requests_a_fixture_fails_in_one_line_and_others_run(tmp_path, options):
    """Whatever the markers, through fixtures of the project too; nothing is measured, so nothing is written."""
    conftest = "import pytest\n\n@pytest.fixture\ndef model_numbers(ks_record):\n    return 1\n"
    own = "def test_mine(model_numbers):\n    pass\n\ndef test_other():\n    pass\n"
    project = write_project(tmp_path, own=own, conftest=conftest)
    done = run_pytest(project, *options)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert ONE_PROCESS in done.stdout
    assert "Traceback" not in done.stdout
    assert re.search(r"(\d) passed, \1 error", done.stdout), "each of its processes where all run everything"
    assert "INTERNALERROR" not in done.stdout + done.stderr
    assert not (project / "ks-results").exists()


def test_errors_of_a_project_are_shown_in_several_processes(tmp_path):
    """A failing test, a module that cannot be imported, and a request that no one could see before: each its own."""
    project = write_project(tmp_path, own="def test_mine():\n    assert 1 == 2, 'my own error'\n")
    done = run_pytest(project, "-n", "2")
    assert done.returncode == 1
    assert "my own error" in done.stdout
    write_project(project, broken="import nowhere_at_all\n\ndef test_mine(ks_measurement):\n    pass\n")
    done = run_pytest(project, "-n", "2")
    assert done.returncode != 0
    assert "No module named 'nowhere_at_all'" in done.stdout
    (project / "test_broken.py").write_text("def test_late(request):\n    request.getfixturevalue('ks_stream')\n")
    done = run_pytest(project, "-n", "2")
    assert done.returncode == 1
    assert ONE_PROCESS in done.stdout
    assert "INTERNALERROR" not in done.stdout


LATE = """
import pytest

@pytest.mark.parametrize("name", ["ks_measurement", "ks_stream", "ks_dose"])
def test_late(request, name):
    assert request.getfixturevalue(name) is not None

def test_sizes(request):
    assert request.getfixturevalue("ks_sizes") is None

def test_record(request):
    request.getfixturevalue("ks_record")([])

def test_baseline(request):
    request.getfixturevalue("ks_baseline_problems")
"""


def test_a_fixture_that_is_requested_in_the_middle_of_a_test_is_measured_then(tmp_path, paths):
    project = write_project(tmp_path, late=LATE, ini="[pytest]\nfilterwarnings = error\n")
    done = run_pytest(project, *inputs_as_options(paths), "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed, 1 skipped" in done.stdout
    assert done.stdout.count("measuring knowledge superposition in") == 1, "seen, and measured once"
    first_test, plan, second_test = (
        done.stdout.index(words)
        for words in ("test_late[ks_measurement]", "measuring knowledge", "test_late[ks_stream]")
    )
    assert first_test < plan < second_test
    folder = project / "ks-results" / "model"
    names = {path.name for path in folder.glob("*.png")}
    assert {"kurtosis.png", "growth.png", "dose.png"} <= names
    assert (folder / "results.json").is_file()


def test_what_cannot_be_used_fails_the_test_that_requests_it_in_one_line(tmp_path, paths):
    own = "def test_early():\n    pass\n\n" + LATE
    done = run_pytest(write_project(tmp_path, late=own), *inputs_as_options(paths | {"model": "nowhere/at/all"}))
    assert done.returncode == 1
    assert "1 passed" in done.stdout
    assert "6 failed" in done.stdout
    assert "is no folder and no hub id" in done.stdout
    assert "Traceback" not in done.stdout
    assert "INTERNALERROR" not in done.stdout
    assert done.stdout.count("measuring knowledge superposition in") == 1, "not tried again"

"""Claims of one's own, in a project of one's own, with a baseline of one's own."""

import json

import pytest
from errors import says
from foreign import errors_of, inputs_as_options, run_pytest, write_project
from measured import write_everything

CLAIM = """
import numpy as np
from ks_core.claims.finding import Bound, Finding
from ks_core.claims.judging import judge_number
from ks_core.statistics.estimate import Replicates

def finding(name, value, quantity):
    spread = np.array([value - 0.1, value + 0.1])
    judged = judge_number(Replicates(np.array(value), spread, np.empty(0)), Bound("above", 1.0))
    return Finding(name, quantity, judged, count=2)
"""
MINE = """
from claim import finding

def test_mine(ks_measurement, ks_record):
    ks_record([finding('mine', 0.5, '0')])
"""
OTHER = """
from claim import finding

def test_other(ks_record):
    ks_record([finding('other', 0.4, 'a\\nforged')])
"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_everything(tmp_path_factory.mktemp("inputs"), "llama")


def test_a_claim_of_ones_own_gets_a_baseline_that_subsets_and_new_claims_leave_whole(tmp_path, paths):
    project = write_project(tmp_path, mine=MINE)
    (project / "claim.py").write_text(CLAIM)

    def run(*options):
        return run_pytest(project, *inputs_as_options(paths), "--ks-baselines=kept", "-rx", *options)

    first = run()
    assert "1 xfailed" in first.stdout, "a claim that does not hold, and no baseline to say that it need not"
    written = run("--ks-update-baseline")
    assert written.returncode == 0, written.stdout
    assert "model.json, 1 findings of 1 tests" in written.stdout
    kept = project / "kept" / "model.json"
    assert json.loads(kept.read_text())["tests"] == {"test_mine.py::test_mine": ["mine"]}

    write_project(project, other=OTHER)
    more = run()
    assert more.returncode == 0, more.stdout
    assert "1 passed, 1 xfailed" in more.stdout, "the one is held against the baseline, the other judged alone"
    assert "has nothing of test_other.py::test_other: judged alone" in more.stdout
    assert "a\\nforged" in more.stdout
    subset = run("-k", "other")
    assert subset.returncode == 0, subset.stdout

    before = kept.read_bytes()
    dropping = run("-k", "other", "--ks-update-baseline")
    assert dropping.returncode == 1
    (line,) = (line for line in dropping.stdout.splitlines() if "not overwritten" in line)
    says(line, what="tests that are not in this run", got="test_mine.py::test_mine")
    assert kept.read_bytes() == before
    both = run("--ks-update-baseline")
    assert both.returncode == 0, both.stdout
    assert set(json.loads(kept.read_text())["tests"]) == {"test_mine.py::test_mine", "test_other.py::test_other"}

    (project / "test_mine.py").write_text("def test_mine(ks_record):\n    ks_record([])\n")
    missing = run()
    assert missing.returncode == 1
    (line,) = {line for line in missing.stdout.splitlines() if "ERROR: mine" in line}
    says(line, what="mine", got=("in the baseline", "not found by test_mine.py::test_mine"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ks-update-baseline"], "expected --ks-baselines DIR with it"),
        (["--ks-results="], "argument --ks-results: ''; expected a name or a path"),
        (["--ks-baselines="], "argument --ks-baselines: ''; expected a name or a path"),
        (["--ks-num-facts=" + "9" * 25_000], "expected an integer"),
        (["--ks-layers=\x1b[2J"], "'\\x1b[2J'; expected layer numbers"),
        (["--ks-model=nowhere/at/all"], "is no folder and no hub id"),
        (["--ks-results=test_mine.py"], "Not a directory"),
    ],
    ids=lambda of: str(of)[:40],
)
def test_bad_options_are_one_clear_error_and_leave_nothing_behind(tmp_path, paths, options, message):
    project = write_project(tmp_path, mine=MINE)
    (project / "claim.py").write_text(CLAIM)
    done = run_pytest(project, *inputs_as_options(paths), *options)
    said = done.stdout + done.stderr
    assert done.returncode in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.TESTS_FAILED), said
    assert message in said
    assert len(errors_of(done)) + said.count("\nFAILED ") + said.count("\nERROR ") == 1
    assert "Traceback" not in said
    assert max(map(len, said.splitlines())) < 1000
    assert not (project / "ks-results").exists()


NO_FINDINGS = ("0.3", "[0.3]", "{'a': 1}", "finding('mine', 0.5, 'q')")


def test_what_is_no_list_of_findings_fails_its_test_in_one_line(tmp_path, paths):
    tests = [f"def test_{number}(ks_record):\n    ks_record({given})\n" for number, given in enumerate(NO_FINDINGS)]
    project = write_project(tmp_path, mine="\n\n".join(["from claim import finding", *tests]))
    (project / "claim.py").write_text(CLAIM)
    done = run_pytest(project, *inputs_as_options(paths))
    assert done.returncode == 1
    assert f"{len(NO_FINDINGS)} failed" in done.stdout
    assert done.stdout.count("expected a list of Findings") >= len(NO_FINDINGS)
    assert "Traceback" not in done.stdout + done.stderr
    assert (project / "ks-results" / "model" / "results.json").is_file(), "what was measured is kept"


GATES = """
import pytest
from claim import finding
from ks_core.claims.claim import Claim

@pytest.mark.parametrize("gate", ["baseline", "never"])
def test_gate(ks_judge, gate):
    ks_judge(Claim(gate, "mine", "pairs", lambda _: [finding(gate, 0.5, "mine")], gate=gate))

@pytest.mark.skipif("config.getoption('ks_update_baseline')")
def test_always(ks_judge):
    ks_judge(Claim("always", "mine", "pairs", lambda _: [finding("always", 0.5, "mine")], gate="always"))
"""


def test_a_claim_is_held_as_its_gate_says(tmp_path, paths):
    """A baseline has what it is to hold and nothing that is only shown; what must always hold fails without one."""
    project = write_project(tmp_path, gates=GATES)
    (project / "claim.py").write_text(CLAIM)
    written = run_pytest(project, *inputs_as_options(paths), "--ks-baselines=kept", "--ks-update-baseline")
    assert written.returncode == 0, written.stdout
    assert set(json.loads((project / "kept" / "model.json").read_text())["findings"]) == {"baseline"}
    held = run_pytest(project, *inputs_as_options(paths), "--ks-baselines=kept")
    assert "1 failed, 1 passed, 1 xfailed" in held.stdout
    assert "always does not hold" in held.stdout


QUICK_AND_SLOW = """
import pytest
from claim import finding

@pytest.mark.paper
def test_quick(ks_record):
    ks_record([finding('quick', 0.5, 'q')])

@pytest.mark.slow
def test_slow(ks_record):
    ks_record([finding('long', 0.5, 's')])
"""


def test_one_baseline_holds_quick_and_slow_claims_and_either_can_be_run_alone(tmp_path, paths):
    """Neither run misses what the other finds; what a slow run finds is gated; a quick run cannot drop it."""
    markers = "[pytest]\nmarkers =\n    slow: takes long\n"
    project = write_project(tmp_path, both=QUICK_AND_SLOW, ini=markers)
    (project / "claim.py").write_text(CLAIM)
    kept = project / "kept" / "model.json"

    def run(marker, *options):
        return run_pytest(project, *inputs_as_options(paths), "--ks-baselines=kept", "-m", marker, *options)

    written = run("paper or slow", "--ks-update-baseline")
    assert written.returncode == 0, written.stdout
    assert set(json.loads(kept.read_text())["findings"]) == {"quick", "long"}
    for marker in ("paper", "slow"):
        again = run(marker)
        assert again.returncode == 0, again.stdout
        assert "xfailed" not in again.stdout
        assert "ERROR" not in again.stdout
    dropping = run("paper", "--ks-update-baseline")
    assert dropping.returncode == 1
    assert "holds findings of tests that are not in this run (test_both.py::test_slow)" in dropping.stdout
    (project / "test_both.py").write_text(QUICK_AND_SLOW.replace("'long', 0.5", "'long', 2.0"))
    changed = run("slow")
    assert changed.returncode == 1
    assert "long: verdict was 'does not hold', now 'holds'" in changed.stdout

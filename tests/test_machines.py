"""The machines that the suite is run as: each is what it is called, and none is another one again."""

import machines
import pytest

EVERYONE = {"torch", "MKL", "oneDNN", "OpenBLAS", "NumPy", "threads"}


@pytest.fixture(scope="module")
def native():
    return machines.spoken(machines.at_hand())


@pytest.fixture(scope="module")
def says(native):
    """A function: what the libraries say on a machine, once for all tests; or its test is skipped with the reason."""
    heard = {}

    def ask(machine):
        level = machines.MACHINES[machine][0]
        reason = machines.left_out(native["torch"][0]).get(level)
        if reason:
            pytest.skip(f"{machine} was not tried: {reason}")
        if machine not in heard:
            heard[machine] = machines.spoken(machines.environment_of(machine, native))
        return heard[machine]

    return ask


def test_without_variables_nothing_is_held_back(says, native):
    assert says("native-1") == native | {"threads": ["1"]}


@pytest.mark.parametrize("machine", ["default-1", "avx2-2"])
def test_variables_take_effect_in_every_library(says, machine):
    level = machines.LEVELS[machines.MACHINES[machine][0]]
    assert says(machine)["torch"] == [level.capability]
    assert says(machine)["OpenBLAS"] == [level.variables["OPENBLAS_CORETYPE"]]
    assert machines.disobeying(machine, says(machine)) == []


@pytest.mark.parametrize("machine", ["default-1", "avx2-2"])
def test_planted_fault_variables_that_do_nothing_are_caught(says, native, machine):
    _, threads = machines.MACHINES[machine]
    nothing_done = native | {"threads": [str(3 - threads)]}
    # MKL knows no instructions of another maker's processor: there it does not change, and has nothing to disobey with.
    alike = {who for who in ("MKL", "oneDNN") if says(machine)[who] == native[who]}
    assert set(machines.disobeying(machine, nothing_done)) == EVERYONE - alike
    for who in EVERYONE - alike:
        assert machines.disobeying(machine, says(machine) | {who: nothing_done[who]}) == [who]


@pytest.mark.parametrize(
    ("capability", "left"),
    [("AVX512", set()), ("AVX2", {"avx2"}), ("DEFAULT", {"default", "avx2"}), ("SVE256", {"default", "avx2"})],
)
def test_levels_that_a_processor_has_not_are_left_out_with_a_reason(capability, left):
    reasons = machines.left_out(capability)
    assert set(reasons) == left
    assert all(reasons.values())


@pytest.fixture
def ran(monkeypatch, capsys, native):
    """A function: exit status and output of a run of one machine, where libraries say what the environment says."""

    def run(*arguments, **says):
        monkeypatch.setattr("sys.argv", ["machines.py", "--machine", *arguments])
        monkeypatch.setattr(machines, "spoken", lambda of: native | {"threads": [of.get("OMP_NUM_THREADS")]} | says)
        return machines.main(), capsys.readouterr().out

    return run


def test_a_machine_that_this_one_has_not_is_not_run_and_is_said_so(ran):
    status, output = ran("avx2-1", torch=["DEFAULT"])
    assert status == 0
    assert "avx2-1     not run: this processor has no more than DEFAULT" in output


@pytest.mark.parametrize(
    ("body", "status", "outcome"), [("pass", 0, "passed"), ("raise SystemError", 1, "FAILED, exit")]
)
def test_a_run_fails_where_its_tests_do(ran, tmp_path, body, status, outcome):
    file = tmp_path / "test_it.py"
    file.write_text(f"def test_it(): {body}")
    found, output = ran("native-1", "-q", "-p", "no:cacheprovider", str(file))
    assert found == status
    assert f"native-1   {outcome}" in output


def test_a_run_whose_variables_do_nothing_fails(ran):
    status, output = ran("native-1", threads=["2"])
    assert status == 1
    assert "native-1   FAILED, the variables do nothing to: threads" in output


def test_the_fast_part_is_of_machines_and_files_that_there_are():
    assert set(machines.FAST_MACHINES) < set(machines.MACHINES)
    for pattern in machines.FAST_FILES:
        assert list((machines.ROOT / "tests").glob(pattern)), pattern

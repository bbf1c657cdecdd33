"""Processes that torchrun starts: what they tell each other, and that they end together with one message."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from errors import refused, says

from ks_core.errors import InputError, ProcessError, StorageError
from ks_core.measurement.moments.processes import Place, _backend, place_of, ranks_of_environment
from ks_core.measurement.moments.ranks import Ranks

WAIT = 100
"""Seconds: the slowest takes 10 where processors are shared. Whoever waits for ever fails here."""


def started(processes, what="nothing", rank=0):
    """Run the script by torchrun and return its status, its own lines and its errors' lines."""
    script = Path(__file__).parent / "ranks_at_work.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), str(script)]
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    done = subprocess.run(
        [*command, what, str(rank)], capture_output=True, text=True, timeout=WAIT, env=environment, check=False
    )
    return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()


def messages(lines):
    return [line for line in lines if line.startswith("ks moments")]


def test_sums_of_all_reach_the_first_and_what_it_tells_reaches_all():
    status, said, errors = started(3)
    assert (status, messages(errors)) == (0, [])
    assert said[0] == "turn of 0", "the first fills the cache before the others look"
    assert [line for line in said if line.startswith("sum")] == ["sum 111"] * 3
    assert [line for line in said if line.startswith("told")] == ["told (7, 'é0', '')"] * 3


def test_one_process_by_torchrun_is_alone():
    status, said, _ = started(1)
    assert (status, said[-1]) == (0, "told (7, 'é0', '')")


@pytest.mark.parametrize("what", ["bad input", "bad input alone", "turn"])
@pytest.mark.parametrize("rank", [0, 2])
def test_an_error_of_one_is_said_once(what, rank):
    status, _, errors = started(3, what, rank)
    assert status != 0
    (message,) = messages(errors)
    assert message.startswith("ks moments: error: ")
    assert "expected" in message
    assert "ended before" not in message, "what went wrong is said, not that others went away for it"


def test_a_lack_of_memory_is_said_once():
    status, _, errors = started(2, "no memory alone", 1)
    assert status != 0
    assert messages(errors) == ["ks moments: error: not enough memory: 3 TB; ask for less"]


def test_a_fault_of_one_is_shown_by_it_alone():
    status, _, errors = started(3, "fault", 1)
    assert status != 0
    assert messages(errors) == []
    assert sum(line.endswith("ZeroDivisionError: fault") for line in errors) == 1


@pytest.mark.parametrize(
    ("what", "rank"),
    [("killed", 0), ("killed", 2), ("killed while others compute", 0), ("killed while others compute", 1)],
)
def test_others_of_a_killed_process_end_with_one_message(what, rank):
    status, said, errors = started(3, what, rank)
    assert status != 0
    (message,) = messages(errors)
    says(message, what="a process of this run ended before its work was done", expected="all", remedy="same command")
    assert [line for line in said if line.startswith("sum")] == ["sum 111"], "the step before"


def test_a_run_that_is_stopped_says_so_once():
    status, _, errors = started(2, "stopped", 1)
    assert status != 0
    (message,) = messages(errors)
    says(message, what="stopped by SIGTERM", remedy="start the same command again")


COMPLETE = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


def test_places_are_read_from_the_environment():
    assert place_of(COMPLETE) == Place(rank=1, size=2, local_rank=1)
    assert place_of({}) is None
    assert place_of({"MASTER_ADDR": "localhost", "HOME": "/"}) is None, "some machines have it set for everyone"


@pytest.mark.parametrize("lacking", COMPLETE)
def test_an_environment_in_part_is_refused(lacking):
    rest = {name: value for name, value in COMPLETE.items() if name != lacking}
    with refused(InputError, what="the environment has", got=f"no {lacking}", expected="all", remedy="torchrun"):
        place_of(rest)


@pytest.mark.parametrize(
    ("name", "value"),
    [("RANK", "first"), ("RANK", "-1"), ("RANK", "2"), ("WORLD_SIZE", "0"), ("WORLD_SIZE", "1e2"), ("LOCAL_RANK", "2"),
     ("MASTER_PORT", "0"), ("MASTER_PORT", "70000"), ("RANK", "٣"), ("WORLD_SIZE", "9" * 5000)],
)  # fmt: skip
def test_an_environment_that_makes_no_sense_is_refused(name, value):
    with refused(InputError, what="the environment has", got=f"{name}=", expected="", remedy="torchrun"):
        place_of({**COMPLETE, name: value})


def test_processes_that_cannot_meet_say_where(monkeypatch):
    for name, value in {**COMPLETE, "MASTER_ADDR": "no.such.host.invalid"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("ks_core.measurement.moments.processes.MEETING", timedelta(seconds=1))
    with (
        refused(ProcessError, what="process 1 of 2", got="no.such.host", expected="all of them"),
        ranks_of_environment(),
    ):
        pass


@pytest.mark.parametrize("build", ["is_available", "is_gloo_available"])
def test_torch_without_the_means_is_refused_in_one_sentence(build, monkeypatch):
    monkeypatch.setattr(torch.distributed, build, lambda: False)
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: False)
    for cuda, lacking in ((False, "no gloo"), (True, "no gloo and no nccl")):
        with refused(InputError, what=lacking, expected="a build", remedy="without torchrun"):
            _backend(cuda)


def test_a_gpu_is_that_of_the_process(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [Ranks(rank, 4, rank % 2).device("cuda") for rank in range(4)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert Ranks(1, 4, 1).device("cpu") == "cpu"
    assert Ranks.alone().device("cuda:1") == "cuda:1"
    with refused(InputError, what="device", got="'cuda:1' for 4", expected="'cuda'"):
        Ranks(1, 4, 1).device("cuda:1")
    with refused(InputError, what="2 GPUs", got="process 2", expected="one for each", remedy="--nproc-per-node"):
        Ranks(2, 4, 2).device("cuda")


def test_a_model_over_all_gpus_of_a_node_is_for_one_process_of_it():
    Ranks(3, 4, 0).require_own_node()
    with refused(
        InputError, what="process 3 is the 2. of its node", expected="one process", remedy="--nproc-per-node 1"
    ):
        Ranks(3, 4, 1).require_own_node()


@pytest.mark.parametrize("sums", [torch.ones(2), torch.ones(2, 3, dtype=torch.float64).T, torch.ones(2).long()])
def test_sums_that_cannot_be_added_up_are_refused(sums):
    with refused(InputError, what="a sum is", expected="contiguous float64"):
        Ranks.alone().reduce_to_first([sums])


@pytest.mark.parametrize("error", [StorageError("full"), ZeroDivisionError("fault"), ProcessError("gone")])
def test_alone_an_error_is_raised_as_it_is(error):
    with pytest.raises(type(error)) as caught:
        Ranks.alone().agree(error)
    assert caught.value is error
    Ranks.alone().agree(None)

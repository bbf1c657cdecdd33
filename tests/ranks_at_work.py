"""What `test_moments_processes.py` has torchrun start: three steps of a shared pass, in one of which something happens.

torchrun --nproc-per-node N ranks_at_work.py WHAT RANK
"""

from __future__ import annotations

import os
import signal
import sys
import time

import torch

from ks_core.command import run
from ks_core.errors import InputError
from ks_core.measurement.moments.processes import ranks_of_environment


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    what, at = sys.argv[1], int(sys.argv[2])
    with ranks_of_environment() as ranks:
        here = ranks.rank == at
        with ranks.first_then_others():
            say(f"turn of {ranks.rank}")
            if what == "turn" and here:
                raise InputError("no such model; expected another")
        for step in range(3):
            happens = here and step == 1
            sums = [torch.full((2, 3), 10.0**ranks.rank, dtype=torch.float64), torch.ones(0, dtype=torch.float64)]
            if happens:
                happen(what)
            if what in ("killed while others compute", "stopped") and step == 1:
                compute(here, what)
            ranks.agree(ERRORS[what]() if happens and what in ERRORS else None)
            ranks.reduce_to_first(sums)
            if ranks.is_first:
                say(f"sum {int(sums[0][1, 2])}")
        told = ranks.number_of_first(ranks.rank + 7), ranks.text_of_first(f"é{ranks.rank}"), ranks.text_of_first("")
        say(f"told {told}")
    return 0


ERRORS = {
    "bad input": lambda: InputError("keys are NaN; expected numbers"),
    "fault": lambda: ZeroDivisionError("fault"),
}


def happen(what: str) -> None:
    if what == "bad input alone":
        raise InputError("keys are NaN; expected numbers")
    if what == "fault alone":
        raise ZeroDivisionError("fault")
    if what == "killed":
        killed()
    if what == "no memory alone":
        raise MemoryError("3 TB")


def compute(here: bool, what: str) -> None:
    if not here:
        time.sleep(1000)  # until SIGTERM
    time.sleep(0.5)
    os.kill(os.getppid(), signal.SIGTERM) if what == "stopped" else killed()
    time.sleep(1000)


def say(line: str) -> None:
    """Write a line in one piece: processes share the pipe, and print may end its line after another's began."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


if __name__ == "__main__":
    sys.exit(run("ks moments", main, interrupted="interrupted"))

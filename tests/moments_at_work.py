"""What tests have torchrun start: a collection of second moments, in which something may happen to one process.

    torchrun --nproc-per-node N moments_at_work.py MODEL TEXT FOLDER TOKENS [WHAT RANK PASS]

WHAT happens in the process RANK at its forward pass PASS, counted from 1.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ks_core.command import run
from ks_core.data.corpus import load_corpus
from ks_core.measurement.moments import collecting
from ks_core.measurement.moments.placing import Placing
from ks_core.measurement.moments.processes import ranks_of_environment
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import load_model

BATCH_TOKENS, LONGEST_TEXT = 64, 32
"""small: eight batches or more in each eighth of the text, for four processes"""


def main() -> int:
    model_name, text, folder, tokens, *fault = sys.argv[1:]
    with ranks_of_environment() as ranks:
        with ranks.first_then_others():
            model = load_model(model_name)
            corpus = load_corpus(text)
        settings: dict[str, Any] = {"batch_tokens": BATCH_TOKENS, "longest_text": LONGEST_TEXT}
        if fault and ranks.rank == int(fault[1]) and fault[0] == "other batches":
            settings["batch_tokens"] *= 2
        elif fault and ranks.rank == int(fault[1]) and fault[0] == "another plan":
            plan_otherwise()
        elif fault and ranks.rank == int(fault[1]):
            happen_at(model, fault[0], int(fault[2]))
        if ranks.is_first:
            print("loaded", flush=True)
        collecting.collect_second_moments(
            model, corpus, tokens=int(tokens), folder=Path(folder).resolve(), ranks=ranks, **settings
        )
        if ranks.is_first:
            print("collected", flush=True)
    return 0


def plan_otherwise() -> None:
    """Let this process plan as one with less memory does: short sums, and chunks that are longer."""
    planned = collecting.plan_of_model
    other = Placing(at_once=1, short=True)
    collecting.plan_of_model = lambda *given, **more: replace(planned(*given, **more), placing=other)


def happen_at(model: LoadedModel, what: str, number: int) -> None:
    """Let something happen at a forward pass."""
    passes = []

    def look(*_: Any) -> None:
        passes.append(1)
        if len(passes) != number:
            return
        if what == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif what == "no room":
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # less than any sum
        elif what == "keys":
            model.adapter.projection(1).register_forward_pre_hook(
                lambda _, args: (float("nan") * args[0],), prepend=True
            )

    model.adapter.backbone.register_forward_pre_hook(look)


if __name__ == "__main__":
    sys.exit(run("ks moments", main, interrupted="interrupted"))

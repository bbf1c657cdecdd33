"""An interrupt at any moment leaves no edit: at each instruction by a trace function, and by real signals."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack

import pytest
import torch
from tiny_models import tiny_model
from warm import run_module

from ks_core.models import editing, stored
from ks_core.models.adapter import Adapter
from ks_core.models.editing import edited, promoted
from ks_core.models.fingerprint import weights_sha256


class _Interrupter:
    """A trace function that raises KeyboardInterrupt at the n-th instruction run in the editing module's frames."""

    def __init__(self, at):
        self.at, self.seen = at, 0

    def __call__(self, frame, event, _arg):
        if frame.f_code.co_filename not in (editing.__file__, stored.__file__):
            return None
        frame.f_trace_opcodes = True
        if event in ("call", "line", "opcode", "return"):
            self.seen += 1
            if self.seen == self.at:
                raise KeyboardInterrupt
        return self


def interrupted_at(change, at):
    """Whether there was an n-th instruction to interrupt a block at, outside of its body."""
    interrupter, tracing = _Interrupter(at), sys.gettrace()
    try:
        sys.settrace(interrupter)
        with change:
            sys.settrace(None)
            sys.settrace(interrupter)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(tracing)
    return False


@pytest.mark.parametrize("kind", ["edited", "promoted", "edited inside promoted"])
def test_an_interrupt_at_any_instruction_of_beginning_or_end_leaves_nothing(kind):
    adapter = Adapter(tiny_model("gpt2", dtype=torch.float32))
    before, delta = weights_sha256(adapter.model), torch.full((adapter.d_value, adapter.d_key), 0.1)
    at, happened = 0, True
    while happened:
        at += 1
        with ExitStack() as outer:
            if kind == "edited inside promoted":
                outer.enter_context(promoted(adapter, 0))
            happened = interrupted_at(promoted(adapter, 0) if kind == "promoted" else edited(adapter, 0, delta), at)
        assert weights_sha256(adapter.model) == before, f"interrupted at instruction {at}"
        assert not editing._OPEN.get(adapter.model), f"interrupted at instruction {at}: the layer stays refused"
    assert at > 200, "too few instructions to say anything"


INTERRUPTED = """
import json, random, signal, sys, time, traceback
import torch
from tiny_models import tiny_model
from ks_core.models.adapter import Adapter
from ks_core.models.editing import edited
from ks_core.models.fingerprint import weights_sha256
adapter = Adapter(tiny_model("gpt2", layers=1, dtype=torch.float32))
delta = torch.full((adapter.d_value, adapter.d_key), 0.1)
before = weights_sha256(adapter.model)
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
random.seed(0)
start = time.perf_counter()
for _ in range(100):
    with edited(adapter, 0, delta):
        pass
takes = (time.perf_counter() - start) / 100
places, left = [], 0
for _ in range(int(sys.argv[1])):
    place = "after"
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 2 * takes))
        with edited(adapter, 0, delta):
            pass
        time.sleep(10)  # until the timer rings
    except KeyboardInterrupt as interrupt:
        place = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(interrupt.__traceback__)]
    left += weights_sha256(adapter.model) != before
    places.append(str(place))
print(json.dumps({"left": left, "places": places}))
"""


def test_real_interrupts_at_any_moment_leave_no_edit(tmp_path):
    """A timer sends SIGINT at random moments of an edit and a little after it, a few hundred times in one process."""
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    done = run_module("interrupted", 400, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "an interrupt was lost"
    found = json.loads(done.stdout)
    assert found["left"] == 0
    assert len(found["places"]) == 400
    assert len(set(found["places"])) >= 5, "the interrupts came at too few places to say anything"

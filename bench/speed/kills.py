"""Kill processes of collections at random moments, and see that all go on to the same numbers.

    PYTHONPATH=tests python bench/speed/kills.py [--kills 20] [--seed 0] [--model fixtures/models/ks-llama-l4]

Collections of 1, 2 and 4 processes in turn: torchrun starts one, some process of it gets SIGKILL at some moment while
it reads, the others have to end by themselves with one message, and what is stored has to be whole. Then 1, 2 or 4
processes go on to the end. Their second moments are compared with those of one process that was never killed. The exit
status is 1 where one is not the same. Minutes; nothing is timed but how long the others take to end.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from measured import write_text

from ks_core.measurement.moments.second_moments import SecondMoments

ROOT = Path(__file__).resolve().parent.parent.parent
CLOSE = 1e-12
"""of the largest entry: see tests/test_moments_ranks.py"""
WAIT = 300
"""seconds for a run to end by itself"""
PROCESSES = (1, 2, 4)


@dataclass(frozen=True)
class Work:
    """What is collected, and where."""

    model: Path
    text: Path
    folder: Path
    tokens: int

    def start(self, processes: int) -> subprocess.Popen[str]:
        script = ROOT / "tests" / "moments_at_work.py"
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), str(script)]
        given = [str(word) for word in (self.model, self.text, self.folder, self.tokens)]
        return subprocess.Popen([*command, *given], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}


def main() -> int:
    parser = argparse.ArgumentParser(description="kill collections of second moments at random moments")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, default=ROOT / "fixtures" / "models" / "ks-llama-l4")
    parser.add_argument("--tokens", type=int, default=32_768)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # or one process would multiply in other orders than four
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KS_CORE_CACHE"] = folder
        text = write_text(Path(folder, "text.txt"), options.tokens // 4)
        straight = Work(options.model, text, Path(folder, "straight"), options.tokens)
        seconds = collect(straight, 1)
        print(f"one process, never killed: {seconds:.1f} s of reading", flush=True)
        chance, failures = random.Random(options.seed), 0  # noqa: S311 - moments, no secrets
        for number in range(options.kills):
            work = Work(options.model, text, Path(folder, f"killed-{number}"), options.tokens)
            failures += not one_kill(work, straight, PROCESSES[number % len(PROCESSES)], seconds, chance)
    print(f"{options.kills - failures} of {options.kills} went on to the same numbers", flush=True)
    return 1 if failures else 0


def one_kill(work: Work, straight: Work, processes: int, seconds: float, chance: random.Random) -> bool:
    victim, then = chance.randrange(processes), chance.choice(PROCESSES)
    moment = chance.uniform(0, seconds / min(processes, os.cpu_count() or 1))
    running = work.start(processes)
    wait_for_reading(running)
    time.sleep(moment)
    there = dict(workers(running.pid))
    if victim in there:
        os.kill(there[victim], signal.SIGKILL)
    since = time.monotonic()
    _, errors = running.communicate(timeout=WAIT)
    ended = time.monotonic() - since
    messages = [line for line in errors.splitlines() if line.startswith("ks moments")]
    stored = work.files()
    whole = all(name.endswith(".safetensors") for name in stored)
    collect(work, then)
    off = distance(work, straight)
    done = stored == straight.files()  # the others may have left by then, as they should
    told = len(messages) == (0 if processes == 1 or running.returncode == 0 else 1) or (done and len(messages) <= 1)
    good = off <= CLOSE and told and whole and work.files() == straight.files()
    print(
        f"{processes} processes, {victim} killed after {moment:5.2f} s: status {running.returncode}, "
        f"{len(messages)} messages, over in {ended:.1f} s, {len(stored)} files{' (all)' if done else ''}; "
        f"{then} went on: off by {off:.1e}"
        f"{'' if good else '   NOT AS IT SHOULD BE'}",
        flush=True,
    )
    return good


def wait_for_reading(running: subprocess.Popen[str]) -> None:
    for line in running.stdout or ():
        if line.startswith("loaded"):
            return


def collect(work: Work, processes: int) -> float:
    """Collect to the end; seconds from when the model is loaded."""
    running = work.start(processes)
    wait_for_reading(running)
    start = time.monotonic()
    _, errors = running.communicate(timeout=WAIT)
    if running.returncode:
        raise SystemExit(errors)
    return time.monotonic() - start


def workers(parent: int) -> Iterator[tuple[int, int]]:
    """Rank and process id of each process that torchrun started (Linux)."""
    for folder in Path("/proc").iterdir():
        try:
            if not folder.name.isdigit() or int((folder / "stat").read_text().rpartition(")")[2].split()[1]) != parent:
                continue
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # it ended meanwhile
            continue
        for entry in environment:
            if entry.startswith(b"RANK="):
                yield int(entry[5:]), int(folder.name)


def distance(work: Work, straight: Work) -> float:
    """How far the moments are from those of one process, of the largest entry of each."""
    one, other = opened(straight), opened(work)
    return max(
        float((one.at(layer, count).matrix - other.at(layer, count).matrix).abs().max() / largest(one, layer, count))
        for layer in one.layers
        for count in one.counts
    )


def largest(moments: SecondMoments, layer: int, count: int) -> torch.Tensor:
    return moments.at(layer, count).matrix.abs().max()


def opened(work: Work) -> SecondMoments:
    from moments_at_work import LONGEST_TEXT

    from ks_core.data.corpus import load_corpus
    from ks_core.measurement.moments.second_moments import moment_provenance
    from ks_core.models.loading import load_model

    model = load_model(work.model)
    provenance = moment_provenance(model, load_corpus(work.text), work.tokens, LONGEST_TEXT)
    return SecondMoments(work.folder, provenance, tuple(range(model.adapter.num_layers)))


if __name__ == "__main__":
    sys.exit(main())

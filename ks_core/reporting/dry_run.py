"""What a long command would do, how long about, and how much disk that takes; nothing of it is done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ks_core.formatting import printable

FORMAT = "ks_core/dry-run/1"

SHARE = 0.4
"""Of the speed of large products, what forward passes over text and short prompts reach: with it SmolLM2-135M's second
moments, about ten minutes on two cores, come out as they are. Small models and short prompts reach less, and a machine
that does other things too; so the time is right to a factor of two or three."""

SIDE, TRIES = 512, 50
"""Of the products that are timed: the best of half a second's, as a machine that does other things is slow at times."""


@dataclass(frozen=True)
class Step:
    """One thing that is done.

    Attributes:
        detail: of what, in words
        tokens: that go through the model, those of a backward pass counted twice more
        seconds: that it takes besides
        download: bytes
        cache, output: bytes that it leaves in the cache, and where the user said
        cached: whether it is there already, so that nothing of this is done; None where that cannot be told without
            reading the model's weights
    """

    name: str
    detail: str
    tokens: int = 0
    seconds: float = 0.0
    download: int = 0
    cache: int = 0
    output: int = 0
    cached: bool | None = False


@dataclass(frozen=True)
class DryRun:
    """All steps of a command on one model.

    Attributes:
        command: by name
        model: by name
        parameters: that a token meets
        speed: operations a second of this machine's processor in large products of float32
        steps: in the order in which they are done
    """

    command: str
    model: str
    parameters: int
    speed: float
    steps: Sequence[Step]

    @property
    def to_do(self) -> tuple[Step, ...]:
        """The steps that are not known to be cached."""
        return tuple(step for step in self.steps if not step.cached)

    def seconds_of(self, step: Step) -> float:
        """About how long a step takes, by the tokens that it reads."""
        return step.seconds + 2.0 * self.parameters * step.tokens / (SHARE * self.speed)

    @property
    def seconds(self) -> float:
        """About how long all that is to be done takes."""
        return sum(map(self.seconds_of, self.to_do))

    def total(self, what: str) -> int:
        """Bytes of `download`, `cache` or `output`, or `tokens`, of all that is to be done."""
        return sum(getattr(step, what) for step in self.to_do)

    def record(self) -> dict[str, Any]:
        """As JSON has it, but for the format."""
        totals = {what: self.total(what) for what in ("tokens", "download", "cache", "output")}
        steps = [{**asdict(step), "about_seconds": self.seconds_of(step)} for step in self.steps]
        return {"command": self.command, "model": self.model, "about_seconds": self.seconds, **totals, "steps": steps}

    def text(self) -> str:
        """The steps as lines for the terminal, and what they come to."""
        width = max(len(step.name) for step in self.steps)
        lines = [f"ks {self.command}, {printable(self.model)}: nothing is done, written or downloaded; it would take"]
        for step in self.steps:
            size = f"{_size(step.cache + step.output)} on disk" if step.cache + step.output else ""
            said = [printable(step.detail), f"{step.tokens:,} tokens" if step.tokens else "", size]
            state = "cached: " if step.cached else ""
            about = "" if step.cached else f"about {duration(self.seconds_of(step))}"
            lines.append(f"  {step.name:<{width}}  {state}{', '.join(filter(None, [*said, about]))}")
        return "\n".join([*lines, *self._totals()])

    def _totals(self) -> list[str]:
        download = self.total("download")
        return [
            f"time    about {duration(self.seconds)}, to a factor of two or three",
            f"        ({self.speed / 1e9:,.0f} GFLOP/s in large products here; a share of {SHARE:g} is assumed)",
            f"disk    {_size(self.total('cache'))} in the cache, {_size(self.total('output'))} of output"
            + (f"; {_size(download)} to download" if download else ""),
        ]


def measured_speed() -> float:
    """Floating point operations a second of this process in products of float32, from a few of them."""
    one = torch.ones(SIDE, SIDE)
    best = float("inf")
    for _ in range(TRIES):
        start = time.perf_counter()
        one @ one
        best = min(best, time.perf_counter() - start)
    return 2.0 * SIDE**3 / best


def duration(seconds: float) -> str:
    """A length of time, no finer than an estimate is.

    Example:
        >>> duration(3.2), duration(400), duration(20_000)
        ('3 s', '7 minutes', '5.6 hours')
    """
    if seconds < 120:
        return f"{max(1.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _size(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"

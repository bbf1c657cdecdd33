"""What a benchmark is held against: the limit that the machine sets, and the procedure that was replaced.

A time says something about one machine on one day. Two ratios travel: time over the limit, which is what the machine
needs for the arithmetic (or the memory) that cannot be avoided, measured in the same run; and time over that of the
procedure that was replaced, run beside it. In both less is better, and 1 is the limit, or no gain.

    rate = matrix_rate(torch.float64, 1000, 1536, 1536)
    note(benchmark, seconds=rounds(benchmark), limit_seconds=rate.seconds(flop), limit="products of ... in float64",
         replaced_seconds=[...], replaced="the loop over edits")
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

REPETITIONS = 7
"""Of a measured rate: the best of them is the machine undisturbed, and seven are enough for one such."""

SHORTEST = 0.02
"""Seconds that one repetition takes at least: ten thousand times what the clock can tell, and any call's overhead."""


@dataclass(frozen=True)
class Amount:
    """Seconds (or GiB) of something, with the error over its rounds.

    Attributes:
        value: mean over the rounds, of a limit the best
        error: standard error of that mean; None where there was one round: nothing is known of it
        rounds: how many
        data: of each round, where they are known
    """

    value: float
    error: float | None = None
    rounds: int = 1
    data: tuple[float, ...] = ()

    def over(self, other: Amount) -> Amount:
        """Their ratio; its error from both, as far as both are known, and None where neither is.

        Of as many rounds each, which may have run in turn (`Beside`), it is that of a ratio of means over pairs of
        rounds: what slowed both down cancels. An error that is known of one only is a lower bound; the fewer rounds go
        with the ratio.
        """
        if len(self.data) == len(other.data) > 1:
            ratio = self.value / other.value
            left = [own - ratio * of for own, of in zip(self.data, other.data, strict=True)]
            return Amount(ratio, statistics.stdev(left) / len(left) ** 0.5 / other.value, self.rounds)
        relative = [of.error / of.value for of in (self, other) if of.error is not None]
        ratio = self.value / other.value
        return Amount(ratio, ratio * math.hypot(*relative) if relative else None, min(self.rounds, other.rounds))


Amounts = Amount | float | Sequence[float]
"""An amount, one number of unknown error, or a number of each round."""


@dataclass(frozen=True)
class Rate:
    """What a machine does in a second, at one shape and dtype.

    Attributes:
        best: units of work a second, in the best repetition
        error: standard error of the repetitions' mean: the best has no better, and is never below what it stands for
        repetitions: how many
        words: what was measured
    """

    best: float
    error: float
    repetitions: int
    words: str

    def seconds(self, work: float) -> Amount:
        """The least seconds for so much work (FLOP, or bytes)."""
        least = work / self.best
        return Amount(least, least * self.error / self.best, self.repetitions)


def amount(given: Amounts) -> Amount:
    """Mean and standard error of what was measured in rounds.

    Raises:
        ValueError: no round, or one that is not above zero.
    """
    if isinstance(given, Amount):
        return given
    values = [float(given)] if isinstance(given, (int, float)) else [float(value) for value in given]
    if not values or not all(0 < value < math.inf for value in values):
        raise ValueError(f"measured {values}; expected one number above zero, or one for each round")
    if len(values) == 1:
        return Amount(values[0])
    error = statistics.stdev(values) / len(values) ** 0.5
    return Amount(statistics.mean(values), error, len(values), tuple(values))


def rounds(benchmark: Any) -> list[float]:
    """Seconds of each round of a benchmark that has run."""
    return list(benchmark.stats["data"])


def timed(function: Callable[..., Any], *arguments: Any, rounds: int = 1) -> list[float]:
    """Seconds of each of so many calls, on the CPU."""
    return [_seconds(lambda: function(*arguments), torch.device("cpu")) for _ in range(rounds)]


class Product:
    """`torch.mm`, (rows, inner) with (inner, columns), to be called and timed.

    Attributes:
        flop: of a call, a multiply-add being two
        words: what it is
    """

    def __init__(
        self, dtype: torch.dtype, rows: int, inner: int, columns: int, device: str | torch.device = "cpu"
    ) -> None:
        self.device = torch.device(device)
        self.left = torch.randn(rows, inner, device=self.device).to(dtype)
        self.right = torch.randn(inner, columns, device=self.device).to(dtype)
        self.out = torch.empty(rows, columns, device=self.device, dtype=dtype)
        self.flop = 2.0 * rows * inner * columns
        shapes = f"({rows}, {inner}) x ({inner}, {columns})"
        self.words = f"torch.mm {shapes} in {str(dtype).removeprefix('torch.')} on {self.device.type}"
        self()

    def __call__(self) -> None:
        torch.mm(self.left, self.right, out=self.out)


class Beside:
    """What is timed before each round of a benchmark: a machine that slows down then slows down all.

    beside = Beside(limit=product, replaced=slow)
    benchmark.pedantic(fast, setup=beside, rounds=10)
    beside.seconds["replaced"]                          # 10 numbers; `setup` is called in warm-up rounds too
    """

    def __init__(self, **works: Callable[[], Any]) -> None:
        self.works = works
        self.seconds: dict[str, list[float]] = {name: [] for name in works}

    def __call__(self) -> None:
        for name, work in self.works.items():
            self.seconds[name] += timed(work)


def matrix_rate(
    dtype: torch.dtype,
    rows: int,
    inner: int,
    columns: int,
    device: str | torch.device = "cpu",
    repetitions: int = REPETITIONS,
) -> Rate:
    """FLOP a second of a `Product`.

    Measured here and now, with the threads there are: what a product costs by shape and dtype is the machine's, and a
    limit that was measured at another shape would be another limit.
    """
    product = Product(dtype, rows, inner, columns, device)
    return _rate(product, product.flop, product.device, repetitions, product.words)


def copy_rate(size: int, device: str | torch.device = "cpu", repetitions: int = REPETITIONS) -> Rate:
    """Bytes a second that memory moves, read and written, in a copy of `size` bytes: choose more than the cache."""
    place = torch.device(device)
    source = torch.ones(size, dtype=torch.uint8, device=place)
    target = torch.zeros_like(source)
    return _rate(lambda: target.copy_(source), 2.0 * size, place, repetitions, f"copy of {size} bytes on {place.type}")


def _rate(work: Callable[[], Any], amount_of_work: float, place: torch.device, repetitions: int, words: str) -> Rate:
    """The best of some repetitions, each of as many calls as the clock needs; the first call only warms up."""
    work()
    calls = max(1, math.ceil(SHORTEST / max(_seconds(work, place), 1e-9)))

    def many() -> None:
        for _ in range(calls):
            work()

    rates = [amount_of_work * calls / _seconds(many, place) for _ in range(max(2, repetitions))]
    return Rate(max(rates), statistics.stdev(rates) / len(rates) ** 0.5, len(rates), words)


def _seconds(work: Callable[[], Any], place: torch.device) -> float:
    """How long a call takes, until the device is done with it."""
    _wait(place)
    start = time.perf_counter()
    work()
    _wait(place)
    return time.perf_counter() - start


def _wait(place: torch.device) -> None:
    if place.type == "cuda":
        torch.cuda.synchronize(place)


@dataclass(frozen=True)
class Noted:
    """The two ratios of a benchmark; the second is None where nothing could be run beside it."""

    measured: Amount
    to_limit: Amount
    to_replaced: Amount | None


def note(
    benchmark: Any,
    *,
    seconds: Amounts,
    limit_seconds: Amounts,
    limit: str,
    replaced_seconds: Amounts | None = None,
    replaced: str = "",
    **more: Any,
) -> Noted:
    """Store a time with its two ratios, their errors and what they are to in the benchmark's `extra_info`.

    Args:
        benchmark: the fixture of pytest-benchmark.
        seconds: what was measured: of each round, where there are rounds.
        limit_seconds: what the machine needs at the least; `Rate.seconds`.
        limit: what the limit is, in words.
        replaced_seconds: of the procedure that was replaced, on the same work.
        replaced: which procedure that is, in words.
        more: other numbers to store: counts, bytes, relative differences.

    Returns:
        The ratios, to be asserted.

    Raises:
        ValueError: a time that is not above zero; one of a replaced procedure and its words without the other.
    """
    return _note(benchmark, "seconds", seconds, (limit_seconds, limit), (replaced_seconds, replaced), more)


def note_memory(
    benchmark: Any,
    *,
    gib: Amounts,
    limit_gib: Amounts,
    limit: str,
    replaced_gib: Amounts | None = None,
    replaced: str = "",
    **more: Any,
) -> Noted:
    """`note` of memory, in GiB: the limit is what has to be held."""
    return _note(benchmark, "gib", gib, (limit_gib, limit), (replaced_gib, replaced), more)


def _note(
    benchmark: Any,
    unit: str,
    measured: Amounts,
    limit: tuple[Amounts, str],
    replaced: tuple[Amounts | None, str],
    more: dict[str, Any],
) -> Noted:
    if not limit[1] or (replaced[0] is None) != (not replaced[1]):
        raise ValueError("a limit and a replaced procedure are a number and the words that say what it is; got one")
    own = amount(measured)
    to_limit = own.over(amount(limit[0]))
    info = {"limit": limit[1], **_fields(unit, own), **_fields(f"limit_{unit}", amount(limit[0]))}
    info |= _fields("ratio_to_limit", to_limit)
    to_replaced = None
    if replaced[0] is not None:
        to_replaced = own.over(amount(replaced[0]))
        info |= {"replaced": replaced[1], **_fields(f"replaced_{unit}", amount(replaced[0]))}
        info |= _fields("ratio_to_replaced", to_replaced)
    benchmark.extra_info.update(info, **more)
    return Noted(own, to_limit, to_replaced)


def _fields(name: str, of: Amount) -> dict[str, Any]:
    return {name: of.value, f"{name}_error": of.error, f"{name}_rounds": of.rounds}

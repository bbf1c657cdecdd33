"""A file of pytest-benchmark: which machine it was, and of each benchmark its time, its ratios and other numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ks_core.errors import InputError
from ks_core.formatting import shown, shown_path
from ks_core.reporting.runs.numbers import Number
from ks_core.reporting.runs.reading import is_number, number, part

ERRORS = ("_error", "_standard_error")
ROUNDS = "_rounds"

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Benchmark:
    """One benchmark of a run.

    Attributes:
        threads: that it says it had; None where it does not
        seconds: mean over its rounds
        ratios: by name
        others: counts, bytes, differences: every number in its `extra_info` that is neither a ratio nor a time
        words: every text there: `limit` and `replaced` say what the ratios are to
    """

    threads: float | None
    seconds: Number
    ratios: Mapping[str, Number]
    others: Mapping[str, Number]
    words: Mapping[str, str]


@dataclass(frozen=True)
class BenchmarkRun:
    """What a file of pytest-benchmark holds.

    Attributes:
        machine: what decides whether times are of one machine, by name
        benchmarks: by their full names, with file and parameters
    """

    machine: Mapping[str, str]
    benchmarks: Mapping[str, Benchmark]


def benchmark_run(path: Any, content: dict[str, Any]) -> BenchmarkRun:
    """Check and take apart what pytest-benchmark wrote.

    Raises:
        InputError: a field that is missing or of another type, a time that is not above zero, a name that comes twice.
    """
    place = shown_path(path)
    benchmarks: dict[str, Benchmark] = {}
    for index, each in enumerate(part(place, content, "benchmarks", list)):
        where = f"{place}: benchmark {index}"
        if not isinstance(each, dict):
            raise InputError(f"{where} is {shown(each)}; expected an object")
        name = part(where, each, "fullname", str)
        if name in benchmarks:
            raise InputError(f"{where}: {shown(name)} comes twice; expected each benchmark once: compare single runs")
        benchmarks[name] = _benchmark(f"{place}: benchmark {shown(name)}", each)
    return BenchmarkRun(_machine(part(place, content, "machine_info", dict)), benchmarks)


def _machine(info: dict[str, Any]) -> dict[str, str]:
    """Processor and Python. Not the host's name, which a container draws anew, nor the clock, which a core changes.

    Of Python the second number decides; a patch release makes no loop faster.
    """
    told = info.get("cpu")
    cpu = told if isinstance(told, dict) else {}  # which pytest-benchmark leaves empty where it finds nothing
    python = info.get("python_version")
    return {
        "cpu": _word(cpu.get("brand_raw")),
        "cpus": _word(cpu.get("count")),
        "arch": _word(cpu.get("arch")),
        "system": _word(info.get("system")),
        "python": " ".join((_word(info.get("python_implementation")), ".".join(_word(python).split(".")[:2]))),
    }


def _word(value: Any) -> str:
    return str(value) if value is not None and str(value) else UNKNOWN


def _benchmark(where: str, content: dict[str, Any]) -> Benchmark:
    stats, info = part(where, content, "stats", dict), part(where, content, "extra_info", dict)
    rounds = part(f"{where}: stats", stats, "rounds", int)
    mean, spread = (number(f"{where}: stats", stats, name, least=0.0) for name in ("mean", "stddev"))
    if rounds < 1 or not mean:
        raise InputError(f"{where} took {shown(mean)} s in {shown(rounds)} rounds; expected more than none of both")
    error = None if rounds < 2 or spread is None else spread / rounds**0.5
    values = {name: _with_error(where, info, name) for name, value in info.items() if _is_value(info, name)}
    threads = values.pop("threads", None)
    ratios = {name: of for name, of in values.items() if name.startswith(("ratio", "speedup"))}
    return Benchmark(
        threads=None if threads is None else threads.value,
        seconds=Number(mean, error, rounds),
        ratios=ratios,
        others={name: of for name, of in values.items() if name not in ratios},
        words={name: value for name, value in info.items() if isinstance(value, str)},
    )


def _is_value(info: dict[str, Any], name: str) -> bool:
    """Whether an entry is a number of its own: no time, and no error or count of rounds of another."""
    if not is_number(info[name]) or "seconds" in name.split("_"):
        return False
    return not any(name.endswith(end) and name.removesuffix(end) in info for end in (*ERRORS, ROUNDS))


def _with_error(where: str, info: dict[str, Any], name: str) -> Number:
    place = f"{where}: extra_info"
    known = [f"{name}{end}" for end in ERRORS if f"{name}{end}" in info]
    error = number(place, info, known[0], least=0.0) if known else None
    rounds = part(place, info, f"{name}{ROUNDS}", int) if f"{name}{ROUNDS}" in info else None
    # One round has no spread: an error of zero beside it says nothing.
    return Number(number(place, info, name), None if rounds is not None and rounds < 2 else error, rounds)

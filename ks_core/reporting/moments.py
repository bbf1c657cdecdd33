"""What is said of second moments: what they will take, what they took, and how much text was enough."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ks_core.experiments.pairs.enough import EnoughText
from ks_core.formatting import plus_minus, printable
from ks_core.measurement.moments.plan import MomentPlan
from ks_core.measurement.moments.rate import Rate
from ks_core.measurement.moments.resident import peak_bytes
from ks_core.measurement.moments.second_moments import SecondMoments
from ks_core.outputs import write_text
from ks_core.reporting.dry_run import duration
from ks_core.reporting.results import plain
from ks_core.reporting.words import span

TRACE_FORMAT = "ks_core/enough-text/1"


def plan_text(
    plan: MomentPlan,
    memory: int | None,
    rate: float | None,
    measured: Rate | None = None,
    *,
    speed: float | None = None,
) -> str:
    """A plan as lines for the terminal.

    Args:
        plan: what is planned.
        memory: the budget, bytes.
        rate: tokens a second, for the time, of a pass for all layers.
        measured: where that is from, if it was measured, in the plan's last pass.
        speed: operations a second, for a rough time where no rate is known; none is told without either.
    """
    shape, budget = plan.shape, "" if memory is None else f" of {_gb(memory)}"
    where = {"cpu": "process", "cuda": "device"}[plan.kind]
    lines = [
        f"{printable(shape.name)}: {shape.parameters / 1e9:.2f} billion parameters in {plan.dtype}, {shape.layers} "
        f"layers, d_key {shape.d_key:,}",
        f"text    {plan.tokens:,} tokens in {len(plan.passes)} pass{'es' if len(plan.passes) > 1 else ''}, of layers "
        + "; ".join(span(layers) for layers in plan.passes),
        f"sums    {_sums_in_words(plan)}",
        f"{where:7} {_gb(sum(plan.device.values()))}{budget}: {_parts(plan.device)}",
        *([f"host    {_parts(plan.host)}"] if plan.host else []),
        f"disk    {_gb(sum(plan.disk.values()))}: {_parts(plan.disk)}",
        f"work    {_operations(plan.operations)}",
    ]
    if rate is None and speed is not None:
        told = f"about {duration(plan.operations / speed)}, to a factor of two or three; --batches N times it"
        return "\n".join([*lines, f"time    {told}"])
    if rate is None:
        return "\n".join([*lines, "time    not estimated: give --rate TOKENS a second, or let --batches N be timed"])
    of = "as given"
    if measured is not None:
        of = f"{plus_minus(measured.tokens_per_second, measured.error)} measured over {measured.batches} batches"
    seconds = plan.seconds(rate, None if measured is None else plan.passes[-1])
    return "\n".join([*lines, f"time    about {_duration(seconds)} at {rate:,.0f} tokens a second, {of}"])


def collection_text(moments: SecondMoments, seconds: float, processes: int) -> str:
    """What was collected, where it is, and what it took."""
    by = "one process" if processes == 1 else f"{processes} processes"
    return (
        f"{moments.provenance.tokens:,} tokens of {moments.texts:,} texts, {len(moments.layers)} layers, by {by} in "
        f"{_duration(seconds)}; this process held {_gb(peak_bytes())} at most; in {printable(moments.folder)}"
    )


def enough_lines(found: EnoughText, facts: int) -> list[str]:
    """The trace as a table, and what came of it."""
    names = found.statistics
    lines = ["  tokens  " + "  ".join(f"{name + ': text/facts error':>30}" for name in names)]
    for step in found.trace:
        shares = "  ".join(f"{step.share(name):30.2f}" for name in names)
        lines.append(f"{step.tokens:8,}  " + (f"no inverse: {printable(step.singular)}" if step.singular else shares))
    wanted = (
        f"at most {found.share:g} of the facts error, root mean squares over {len(found.layers)} layers, {facts} facts"
    )
    if found.reached:
        return [*lines, f"enough: the text error is {wanted}"]
    return [
        *lines,
        f"not enough: the text error was to be {wanted}; {found.ended or 'as much as was allowed was read'}",
    ]


def write_trace(path: Path, found: EnoughText, facts: int) -> None:
    """Write how an amount of text was found, every number by layer; NaN becomes null.

    Raises:
        InputError: the file cannot be written.
    """
    steps = [
        {
            "tokens": step.tokens,
            "statistics": {
                name: {
                    "share": step.share(name),
                    "value": step.values[name],
                    "facts_error": step.facts_errors[name],
                    "text_error": step.text_errors[name],
                }
                for name in found.statistics
                if not step.singular
            },
            "singular": step.singular,
        }
        for step in found.trace
    ]
    content = {
        "format": TRACE_FORMAT,
        "provenance": vars(found.moments.provenance),
        "layers": found.layers,
        "facts": facts,
        "share": found.share,
        "reached": found.reached,
        "ended": found.ended,
        "trace": steps,
    }
    write_text(path, json.dumps(plain(content), indent=1, allow_nan=False) + "\n")


def _sums_in_words(plan: MomentPlan) -> str:
    if not plan.placing.short:
        return "float64, beside the model"
    home = "mapped from a file" if plan.placing.mapped else "in the host's memory"
    return f"float32 on the device, added to float64 {home}"


def _parts(parts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {_gb(size)}" for name, size in parts.items())


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _operations(count: float) -> str:
    unit, name = (1e15, "PFLOP") if count >= 1e15 else (1e12, "TFLOP")
    return f"{count / unit:,.0f} {name}" if count >= 10 * unit else f"{count / unit:.2g} {name}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"

"""A comparison as a page of text for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from ks_core.comparing.difference import Diff
from ks_core.comparing.tensors import TensorChange
from ks_core.comparing.values import LayerChange
from ks_core.data.fact import Fact
from ks_core.formatting import plus_minus, printable, shortened
from ks_core.measurement.consequences import Change, Consequences
from ks_core.measurement.readable import summary
from ks_core.statistics.means import Mean

NAME = 56
"""Characters that a tensor's or a fact's name takes at most."""


def table(found: Diff, top: int = 5) -> str:
    """The comparison in lines: tensors, layers at facts, what the models say.

    Args:
        found: the comparison.
        top: tensors, and facts, that are listed of each kind.
    """
    lines = [*_head(found), "", *_tensors(found, top)]
    if found.layers:
        lines += ["", *_layers(found, top)]
    if found.consequences is not None:
        lines += ["", *_said(found.consequences, top)]
    return "\n".join(lines)


def _head(found: Diff) -> Iterator[str]:
    yield (
        f"{printable(found.base)} -> {printable(found.edited)} ({found.model_type}): {len(found.changed)} of "
        f"{found.compared} tensors differ"
    )
    if rounded := len(found.changes) - len(found.changed):
        before, after = next(of.dtypes for of in found.changes if of.only_rounded)
        yield f"{rounded} more are the same but for being stored as {after} instead of {before}"
    if found.settings_differ:
        yield "their settings (config.json) differ"
    if found.tokenizers_differ:
        yield "their tokenizers differ"
    if found.left_out:
        yield printable(summary(found.left_out))


def _tensors(found: Diff, top: int) -> Iterator[str]:
    if not found.changed:
        yield "no tensor differs"
        return
    yield f"{'most changed first':<{NAME}}{'|dW|':>10}{'|dW|/|W|':>10}{'entries':>9}  rank"
    for of in found.changed[:top]:
        yield _tensor(of, found.ranks.get(of.name))
    if len(found.changed) > top:
        yield f"and {len(found.changed) - top} more (--top, --json)"
    layers = Counter(of.layer for of in found.changed)
    numbers = _ranges(sorted(layer for layer in layers if layer is not None))
    yield f"changed layers: {numbers or 'none'}" + (f"; outside layers: {layers[None]} tensors" if layers[None] else "")


def _tensor(of: TensorChange, rank: int | None) -> str:
    told = "" if rank is None else f"{rank} of {min(of.shape)}"
    return (
        f"{shortened(printable(of.name), NAME - 2):<{NAME}}{of.norm:>10.3g}{of.growth:>10.2%}"
        f"{of.changed / of.entries:>9.0%}  {told}"
    )


def _layers(found: Diff, top: int) -> Iterator[str]:
    """The layer that moves a value most at facts, the others in a line each."""
    facts = [*found.edits, *found.keep]
    first, *others = sorted(found.layers, key=lambda of: -float(of.moved.max(initial=0)))
    yield _layer(first)
    if facts:
        yield from _facts(first, facts, len(found.edits), top)
    yield from map(_layer, others[:top])
    if len(others) > top:
        yield f"and {len(others) - top} more layers (--top, --json)"


def _layer(of: LayerChange) -> str:
    moved = f"; values of facts move by up to {of.moved.max():.3g}" if len(of.moved) else ""
    text = "" if of.text_length is None else f"; its output over the text by {of.text_length:.3g} (|dW C^1/2|)"
    return f"layer {of.layer}, the edited projection{moved}{text}"


def _facts(of: LayerChange, facts: Sequence[Fact], edits: int, top: int) -> Iterator[str]:
    if of.chance < 1:
        direction = "C^-1 k" if of.direction != "k" else "k"
        whose = f"the {edits} edits" if edits else f"these {len(facts)} facts"
        yield f"  {of.within:.1%} of |dW|^2 lies along {direction} of {whose}; by chance it would be {of.chance:.1%}"
    yield f"  {'value moved most':<{NAME - 2}}{'|dW k|/|v|':>11}{'along it':>10}"
    for place in np.argsort(-of.moved, kind="stable")[:top]:
        fact = facts[place]
        told = f"edit {fact.statement} -> {fact.target_new}" if place < edits else f"keep {fact.statement}"
        name = shortened(printable(told), NAME - 4)
        yield f"  {name:<{NAME - 2}}{of.moved[place]:>11.3g}{of.along[place]:>10.1%}"


def _said(found: Consequences, top: int) -> Iterator[str]:
    rows = [(name, getattr(found, name)) for name in ("efficacy", "paraphrase", "neighbourhood", "log_perplexity")]
    shown = [(name.replace("_", "-"), of) for name, of in rows if of.after.count]
    if shown:
        yield f"{'what the models say':<22}{'before':<18}{'after':<18}{'change':<22}n"
        yield from (_change(name, of) for name, of in shown)
    if found.kept:
        yield (
            f"facts to keep: {len(found.overtaken)} of {found.lost.count} that stood first are overtaken; loss "
            f"{_mean(found.loss)} nats a token over {found.loss.count}"
        )
        for of in found.kept[:top]:
            if of.loss <= 0 and of.overtaken_by is None:
                break
            by = "" if of.overtaken_by is None else f"  now {printable(of.overtaken_by)}"
            yield f"  {shortened(printable(of.fact.statement), NAME - 4):<{NAME - 2}}{of.loss:>11.2f}{by}"


def _change(name: str, of: Change) -> str:
    return f"{name:<22}{_mean(of.before):<18}{_mean(of.after):<18}{_mean(of.change):<22}{of.after.count}"


def _mean(of: Mean) -> str:
    return plus_minus(of.value, of.error)


def _ranges(numbers: Sequence[int]) -> str:
    """Layer numbers in short.

    Example:
        >>> _ranges([0, 1, 2, 5])
        '0-2, 5'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)

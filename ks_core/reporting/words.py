"""Findings in words: where a number is of, what is required of it, what stands beside it."""

from __future__ import annotations

import math

from ks_core.claims.finding import Bound, Finding, Reference
from ks_core.claims.summing import distance
from ks_core.experiments.sizes.numbers import PLACES
from ks_core.formatting import plus_minus

SIGNS = {"above": ">", "below": "<", "within": "±"}

FAR = 100.0
"""Errors from which on they are not counted."""

ALL_AT_ONCE = "that one of several layers breaks a claim rests on the wider interval of all layers at once"
"""What `interval` says of them, for legends."""


def place(finding: Finding) -> str:
    """Which layers or depths a finding speaks of, and which one its number is of.

    Example:
        >>> from ks_core.claims.finding import Judged, Verdict
        >>> judged = Judged(4.0, 0.1, 0.1, (3.5, 4.5), Bound("above", 3.0), Verdict.HOLDS)
        >>> place(Finding("kurtosis", "excess kurtosis of P", judged, count=56, layers=(0, 1, 2), layer=2))
        '0-2, weakest 2'
    """
    if finding.depth:
        return f"{', '.join(PLACES)}; weakest {finding.depth}"
    words = [_layers(finding)] if finding.layers else []
    if finding.layer is not None:
        words.append(f"weakest {finding.layer}")
    if finding.facts:
        between = ", " if finding.layer is None else " → "
        words.append("facts " + between.join(map(str, finding.facts)))
    return ", ".join(words)


def _layers(finding: Finding) -> str:
    layers = finding.layers
    if finding.across == "thirds":
        third = len(layers) // 3
        return f"{span(layers[:third])} vs {span(layers[-third:])}"
    return span(layers) + (", mean" if finding.across == "mean" else "")


def span(layers: tuple[int, ...]) -> str:
    """Layers in short: a range where they are consecutive, the number of them where not.

    Example:
        >>> span((0, 1, 2, 3)), span((0, 4, 8))
        ('0-3', '3 of 0-8')
    """
    if len(layers) == 1:
        return str(layers[0])
    consecutive = layers == tuple(range(layers[0], layers[-1] + 1))
    return f"{layers[0]}-{layers[-1]}" if consecutive else f"{len(layers)} of {layers[0]}-{layers[-1]}"


def required(bound: Bound) -> str:
    """What is required of a number, in short.

    Example:
        >>> required(Bound("above", 3.0)), required(Bound("within", 0.01, centre=3.57))
        ('> 3', '3.57 ± 0.01')
    """
    centre = f"{bound.centre:.6g} " if bound.kind == "within" and bound.centre else ""
    return f"{centre}{SIGNS[bound.kind]} {bound.threshold:.3g}"


def requirement(bound: Bound) -> str:
    """The same beside a number with its error, where `± 0.2` would read as a second error.

    Example:
        >>> requirement(Bound("above", 3.0)), requirement(Bound("within", 0.2))
        ('> 3', 'within 0.2')
        >>> requirement(Bound("within", 0.01, centre=3.57))
        'within 0.01 of 3.57'
    """
    if bound.kind != "within":
        return required(bound)
    return f"within {bound.threshold:.3g}" + (f" of {bound.centre:.6g}" if bound.centre else "")


def how_far(finding: Finding) -> str:
    """How far a number is from its threshold, in words.

    Example:
        >>> from ks_core.claims.finding import Judged, Verdict
        >>> judged = Judged(4.0, 0.3, 0.4, (3.2, 4.8), Bound("above", 3.0), Verdict.HOLDS)
        >>> how_far(Finding("mine", "a number", judged, count=8))
        '2.0 errors inside'
    """
    off = distance(finding)
    if math.isnan(off):
        bound, value = finding.judged.bound, finding.value
        off = bound.margin(value, value)  # -inf for a value that is not known
        return "not known" if off == -math.inf else f"? errors {_side(off)}"
    if off == 0:
        return "at it"
    if math.isinf(off):
        return _side(off)
    size = abs(off)
    if size >= FAR:
        return f"over {FAR:.0f} errors {_side(off)}"
    return f"{size:.1f} errors {_side(off)}" if size < 9.95 else f"{size:.0f} errors {_side(off)}"


def _side(off: float) -> str:
    return "inside" if off > 0 else "outside"


def part(finding: Finding) -> str:
    """Which part of its claim a finding is, with family and variant: `kurtosis@gpt2`."""
    return finding.id.removeprefix(f"{finding.claim}:")


def quantity(finding: Finding) -> str:
    """What was measured, of which method and after how many edits where that is so.

    Example:
        >>> from ks_core.claims.finding import Judged, Verdict
        >>> judged = Judged(4.0, 0.1, 0.1, (3.5, 4.5), Bound("above", 3.0), Verdict.HOLDS)
        >>> quantity(Finding("mine", "interference", judged, count=56, method="joint", edits=32))
        'interference (joint), 32 edits'
    """
    method = f" ({finding.method})" if finding.method else ""
    edits = f", {finding.edits} edits" if finding.edits else ""
    return f"{finding.quantity}{method}{edits}"


def references(finding: Finding) -> str:
    """What is known elsewhere: each number with where it is from."""
    return "; ".join(map(_reference, finding.references))


def _reference(of: Reference) -> str:
    if of.error is not None:
        return f"{of.source} {plus_minus(of.value, of.error)}"
    upper = "" if of.to is None else f" to {number(of.to)}"
    return f"{of.source} {number(of.value)}{upper}"


def number(value: float) -> str:
    """Three digits, and a ? for what is not known."""
    return f"{value:.3g}" if math.isfinite(value) else "?"


def interval(finding: Finding) -> str:
    """The interval that the verdict rests on, and that of all layers at once where failing rests on that.

    Example:
        >>> from ks_core.claims.finding import Judged, Verdict
        >>> judged = Judged(0.6, 0.1, 0.0, (0.4, 0.8), Bound("within", 0.2), Verdict.UNDECIDED, familywise=(0.1, 1.1))
        >>> interval(Finding("zero-mean", "mode of P / std of P", judged, count=56, layers=(0, 1, 2), layer=2))
        '0.4 to 0.8, of all layers at once 0.1 to 1.1'
    """
    judged = finding.judged
    own = _ends(judged.interval)
    if not finding.is_of_all_at_once or judged.familywise == judged.interval:
        return own
    of_all = "not stored" if judged.familywise is None else _ends(judged.familywise)
    return f"{own}, of all {finding.places} at once {of_all}"


def _ends(of: tuple[float, float]) -> str:
    return " to ".join(f"{end:.3g}" if math.isfinite(end) else "?" for end in of)

"""The facts that disturb each other most, as rows of the page and as its first sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ks_core.reporting.page.figures.hottest import HotPair, hottest_pairs
from ks_core.reporting.page.tables import Cell, number
from ks_core.reporting.stored_results import StoredResults

COLUMNS = ("P", "an edit of", "reaches", "layer", "angle", "related")
NUMBERS = frozenset({"P", "layer", "angle"})


@dataclass(frozen=True)
class EntangledRow:
    """A pair in a layer.

    Attributes:
        strongest: whether the pair, either way round, is nowhere stronger
        same_subject: both facts are about one subject
    """

    cells: tuple[Cell, ...]
    strongest: bool
    same_subject: bool


def rows_of(pairs: Sequence[HotPair]) -> tuple[EntangledRow, ...]:
    """Strongest first, over all layers."""
    seen: set[frozenset[int]] = set()
    rows = []
    for pair in sorted(pairs, key=lambda of: -abs(of.superposition)):
        both = frozenset((pair.edited.case_id, pair.disturbed.case_id))
        rows.append(EntangledRow(_cells(pair), both not in seen, pair.same_subject))
        seen.add(both)
    return tuple(rows)


def _cells(pair: HotPair) -> tuple[Cell, ...]:
    angle = number(None) if math.isnan(pair.angle) else Cell(f"{pair.angle:.0f}°", pair.angle)
    same = "same subject" if pair.same_subject else ("same relation" if pair.related else "no")
    return (
        Cell(f"{pair.superposition:.3f}".replace("-", "−"), pair.superposition),
        Cell(pair.edited.sentence),
        Cell(pair.disturbed.sentence),
        Cell(str(pair.layer), pair.layer),
        angle,
        Cell(same),
    )


def hottest_sentence(pairs: Sequence[HotPair]) -> str:
    """The most entangled facts in a sentence: of two subjects, where there are such; empty without pairs."""
    apart = [pair for pair in pairs if not pair.same_subject] or list(pairs)
    if not apart:
        return ""
    most = max(apart, key=lambda of: abs(of.superposition))
    subjects = " about different subjects" if not most.same_subject else ""
    share = f"{most.superposition:.0%}".replace("-", "−")
    return (
        f"The most entangled facts{subjects}: an edit of “{most.edited.sentence}” moves “{most.disturbed.sentence}” by "
        f"{share} of what it moves the edited fact itself (layer {most.layer})."
    )


def pairs_of(results: StoredResults) -> tuple[HotPair, ...]:
    """The pairs that the page shows; none where the results have no matrices."""
    return hottest_pairs(results)

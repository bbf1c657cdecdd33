"""What edits would break, and which of them do not reach their object, before anything is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ks_core.auditing.gate import Limits, complaints, unreached
from ks_core.auditing.layers import WORKS
from ks_core.auditing.together import Together, together
from ks_core.data.conflicts import conflicts, contradicting
from ks_core.data.fact import Fact
from ks_core.formatting import printable
from ks_core.measurement.consequences import KeptFact
from ks_core.models.loaded import LoadedModel
from ks_core.patches.certificate import Numbers
from ks_core.patches.edits import Edits
from ks_core.patches.measuring import GROWTH
from ks_core.patches.patch import Patch
from ks_core.statistics.means import Mean, mean_of

NAMED = 5
"""Edits that a line names at most."""

LISTED = 10
"""Facts that are listed where a limit is not kept."""


@dataclass(frozen=True, eq=False)
class Review:
    """What is known of a patch before it is written.

    Attributes:
        found: what all its edits together do to the facts to keep, simulated
        broken: limits that are not kept, a line each
        worst: the facts that lose most, where a limit is not kept, a line each
        failing: edits whose value makes their object no likelier than all else, in a line for each layer
        unreached: edits whose value does not reach its probability, in a line for each layer
        predicted: what `found` says, and the growth of each weight, under the names of a certificate
    """

    found: Together
    broken: tuple[str, ...]
    worst: tuple[str, ...]
    failing: tuple[str, ...]
    unreached: tuple[str, ...]
    predicted: Numbers


def review(model: LoadedModel, patch: Patch, kept: Sequence[Fact], limits: Limits) -> Review:
    """Simulate all edits of a patch together, with a hook of low rank; no weight is touched.

    Args:
        model: the base, unedited.
        patch: that is to be written.
        kept: facts that are to stay, those that `facts_to_keep` found readable.
        limits: what the edits may break.
    """
    found = together(model, {edits.layer: edits.edit for edits in patch.edits}, kept, patch.facts)
    every = [(edits.facts, edits.reached.tolist(), edits.search.target_probability) for edits in patch.edits]
    predicted = {
        "kept_lost": found.lost,
        "kept_loss": mean_of(found.losses),
        "kept_worst_loss": Mean(float(found.losses.max()), math.nan, len(found.losses)),
        **{GROWTH + f"{edits.base.projection(edits.layer)}.weight": _growth(model, edits) for edits in patch.edits},
    }
    broken = complaints(limits, found)
    worst = tuple(map(told, found.worst(LISTED))) if broken else ()
    failing = [line for facts, reached, _ in every for line in unreached(facts, reached, WORKS)]
    short = tuple(line for facts, reached, target in every for line in unreached(facts, reached, target))
    return Review(found, broken, worst, tuple(failing), short, Numbers(predicted))


def told(loss: KeptFact) -> str:
    """What becomes of a fact, in a line."""
    by = f", and {printable(loss.overtaken_by)} overtakes" if loss.overtaken_by else ""
    return f"{printable(loss.fact.subject)} ({printable(loss.fact.target_true)}) loses {loss.loss:.2f} nats{by}"


def contradictions(facts: Sequence[Fact], method: str) -> list[str]:
    """The edits that cannot be made together, a line for each pair.

    Of one subject and relation with two objects; and, but for those made one after another, with one object twice,
    whose keys depend on each other.
    """
    stopping = contradicting(facts) if method == "sequential" else facts
    return [printable(line) for line in conflicts(stopping)]


def _growth(model: LoadedModel, edits: Edits) -> Mean:
    """‖ΔW‖ / ‖W‖, over the entries of the weight."""
    weight = model.adapter.weight(edits.layer)
    return Mean(float(edits.edit.delta().norm()) / float(weight.double().norm()), math.nan, weight.numel())

"""How far a number may be from the certified one and still hold: the rounding of another machine, and nothing more.

The inputs are the same to the byte: weights, facts, token rows. What differs between two machines is the order in which
sums are taken, so each operation of a forward pass is off by its own rounding. A decoder rounds about `ROUNDINGS` times
on the way through a layer, each time by u, half of the eps of its dtype. Sums of d terms are taken in blocks, in
float32 or finer, and are off by log2 d roundings v of that dtype. These errors are independent, add up like a random
walk, and move a log-probability in proportion to the logits, whose range is about that of the log-probabilities:

    nats = √(ROUNDINGS · layers) √(u² + v² log2 d) (1 + max |log p|)

For trained models of four layers, what float32 and bfloat16 are off from float64 stays below that, at most by half of
it over thousands of prompts. In bfloat16 it is tenths of a nat: certify in float32.

A share of facts or prompts moves only where two objects are within 2 · nats of each other: so many may change sides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ks_core.measurement.behaviour import Scores
from ks_core.measurement.consequences import Readings
from ks_core.models.loaded import LoadedModel

ROUNDINGS = 16
"""Of a layer: two norms, two residual sums, five to seven products and what stands between them."""


@dataclass(frozen=True)
class Tolerance:
    """How far a number may be off, and how far the number of things that it is a mean over."""

    value: float
    count: int = 0


def unit_roundoff(*dtypes: str) -> float:
    """u of the coarsest of some dtypes by name.

    Example:
        >>> unit_roundoff("float32", "bfloat16")
        0.00390625
    """
    return max(torch.finfo(getattr(torch, name)).eps / 2 for name in dtypes)


def tolerances(model: LoadedModel, unit: float, before: Readings, after: Readings) -> Mapping[str, Tolerance]:
    """By name, of every number of a certificate but the growths of weights.

    Args:
        model: for its number of layers.
        unit: u of the coarser of the two dtypes, of the certificate and of now.
        before, after: as they were read now.
    """
    sums = min(unit, unit_roundoff("float32")) ** 2 * math.log2(model.adapter.d_key)
    size = 1 + max(_largest(before), _largest(after))
    nats = math.sqrt(ROUNDINGS * model.adapter.num_layers * (unit**2 + sums)) * size
    found: dict[str, Tolerance] = {}
    for kind, name in (("rewrite", "efficacy"), ("paraphrase", "paraphrase"), ("neighbourhood", "neighbourhood")):
        ties = [_ties(getattr(of.answers, kind), 2 * nats) for of in (before, after)]
        found |= _changes(name, *ties)
    found |= _changes("log_perplexity", nats, nats)
    near_before, near_after = (int((of.kept.lead.abs() <= 2 * nats).sum()) for of in (before, after))
    share = (near_before + near_after) / max(1, int((before.kept.lead > 0).sum()))
    return found | {
        "kept_lost": Tolerance(share, near_before),
        "kept_loss": Tolerance(2 * nats),
        "kept_worst_loss": Tolerance(2 * nats),
    }


def growth_tolerance(unit: float) -> Tolerance:
    """Of ‖ΔW‖ / ‖W‖: both weights are rounded to their dtype, each by u ‖W‖ at most."""
    return Tolerance(2 * unit)


def _changes(name: str, before: float, after: float) -> dict[str, Tolerance]:
    sizes = {"before": before, "after": after, "change": before + after}
    return {f"{name}_{which}": Tolerance(size) for which, size in sizes.items()}


def _ties(scores: Scores, margin: float) -> float:
    shares = scores.near_ties(margin)
    known = shares[~np.isnan(shares)]
    return float(known.mean()) if len(known) else 0.0


def _largest(readings: Readings) -> float:
    scores = [of for kind in vars(readings.answers).values() for of in (kind.new, kind.true)]
    every = np.concatenate([*scores, readings.kept.log_probability.numpy(), readings.losses])
    return float(np.abs(every).max(initial=0))

"""All claims by name, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Mapping

from ks_core.claims import (
    accumulation,
    bound_pairs,
    capacity,
    enough_facts,
    every_token,
    heavy_tail,
    horizon,
    kurtosis,
    layers,
    long_streams,
    lossless,
    methods,
    published,
    related_pairs,
    scaling,
    semantic_pairs,
    universal,
    whitened_angles,
    zero_mean,
)
from ks_core.claims.claim import Claim, Outcome
from ks_core.experiments.measured import Measured

CLAIMS: Mapping[str, Claim] = {
    claim.name: claim
    for claim in (
        universal.CLAIM,
        zero_mean.CLAIM,
        kurtosis.CLAIM,
        heavy_tail.CLAIM,
        layers.CLAIM,
        whitened_angles.CLAIM,
        semantic_pairs.CLAIM,
        related_pairs.CLAIM,
        enough_facts.CLAIM,
        lossless.CLAIM,
        accumulation.CLAIM,
        bound_pairs.CLAIM,
        methods.CLAIM,
        scaling.CLAIM,
        published.INNER_PRODUCTS,
        published.SUPERPOSITION,
        accumulation.LONG,
        bound_pairs.LONG,
        long_streams.CLAIM,
        every_token.CLAIM,
        horizon.CLAIM,
        capacity.CLAIM,
    )
}


def judge_all(measured: Measured, claims: Mapping[str, Claim] = CLAIMS) -> dict[str, Outcome]:
    """What each claim finds, by its name: findings, or why there are none.

    Args:
        measured: a model's pairs, and what else was measured; a claim that needs more says that it was not.
        claims: by name.
    """
    return {name: claim.judge(measured) for name, claim in claims.items()}

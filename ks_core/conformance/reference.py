"""Editors that obey the laws, this package's own closed forms among them; a collector and an extractor that do."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ks_core.measurement.moments.accumulator import SecondMomentAccumulator
from ks_core.theory.editors import editor_of
from ks_core.theory.methods import Joint, Sequential
from ks_core.theory.traits import Traits, traits
from ks_core.theory.whitening import whiten

RIDGE = 0.5


sequential = editor_of(lambda second_moment: Sequential(whiten(second_moment)), name="sequential")
"""One exact edit after another, as a triangular solve."""

joint = editor_of(lambda second_moment: Joint(whiten(second_moment)), Traits(order="joint"), name="joint")
"""All edits at once, each exact."""

ridged = editor_of(
    lambda second_moment: Joint(whiten(second_moment), RIDGE), Traits(order="joint", ridge=RIDGE), name="ridged"
)
"""All edits at once, giving way to the text."""


@traits(order="sequential", dtype="float32")
def sequential_float32(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor) -> Tensor:
    """One exact edit after another with every product in float32; refuses a singular C."""
    if int(torch.linalg.matrix_rank(second_moment, hermitian=True)) < len(second_moment):
        raise ValueError("the second moment is singular")
    edited = weight.clone()
    factor = torch.linalg.cholesky(second_moment)
    for key, value in zip(keys, values, strict=True):
        direction = torch.cholesky_solve(key[:, None], factor)[:, 0]
        edited += torch.outer(value - edited @ key, direction) / direction.dot(key)
    return edited


@traits(order="sequential", array="numpy")
def sequential_numpy(weight: Any, keys: Any, values: Any, second_moment: Any) -> Any:
    """One exact edit after another through the inverse, as editors are often written; refuses a singular C."""
    if np.linalg.matrix_rank(second_moment, hermitian=True) < len(second_moment):
        raise np.linalg.LinAlgError("the second moment is singular")
    inverse = np.linalg.inv(second_moment)
    for key, value in zip(keys, values, strict=True):
        direction = inverse @ key
        weight = weight + np.outer(value - weight @ key, direction) / (direction @ key)
    return weight


@traits(order="sequential", protected=True)
def sequential_protected(
    weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor, protected: Tensor
) -> Tensor:
    """One exact edit after another, written only where protected keys do not feel it."""
    whitened, directions = _apart_from(keys, protected, second_moment)
    for key, value, row, direction in zip(keys, values, whitened, directions, strict=True):
        weight = weight + torch.outer(value - weight @ key, direction) / row.dot(row)
    return weight


@traits(order="joint", protected=True)
def joint_protected(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor, protected: Tensor) -> Tensor:
    """All edits at once, each exact, written only where protected keys do not feel it."""
    if len(keys) == 0:
        return weight.clone()
    whitened, directions = _apart_from(keys, protected, second_moment)
    written: Tensor = torch.linalg.solve(whitened @ whitened.T, (values - keys @ weight.T).to(whitened.dtype))
    return weight + written.T @ directions


def _apart_from(keys: Tensor, protected: Tensor, second_moment: Tensor) -> tuple[Tensor, Tensor]:
    """Whitened keys projected off the span of the whitened protected ones, and the directions L⁻ᵀ of these."""
    whitening = whiten(second_moment)
    span, _ = torch.linalg.qr(whitening.whiten(protected).T)
    rows = torch.linalg.solve_triangular(whitening.factor, keys.T.to(torch.float64), upper=False).T
    free: Tensor = rows - (rows @ span) @ span.T
    directions: Tensor = torch.linalg.solve_triangular(whitening.factor.T, free.T, upper=True).T
    return free, directions


def collector(shards: list[list[tuple[Tensor, Tensor]]]) -> Tensor:
    """The package's accumulator, one for each shard, merged."""
    accumulators = []
    for shard in shards:
        accumulator = SecondMomentAccumulator(shard[0][0].shape[-1])
        for keys, mask in shard:
            accumulator.update(keys[mask.bool()])
        accumulators.append(accumulator)
    for other in accumulators[1:]:
        accumulators[0].merge(other)
    return accumulators[0].result().matrix


@traits(dtype="float32")
def extractor(model: Any, tokenizer: Any, prompts: list[str], spans: list[tuple[int, int]], layer: int) -> Tensor:
    """Positions from the tokenizer's offsets, keys from a hook, one batch for all prompts."""
    from ks_core.models.adapter import Adapter
    from ks_core.models.tokens import tokenise_prompts

    rows = tokenise_prompts(tokenizer, prompts, spans)
    adapter = Adapter(model)
    seen: list[Tensor] = []
    with torch.inference_mode(), adapter.capture_keys([layer], lambda _, keys: seen.append(keys)):
        adapter.hidden_states(rows.input_ids, rows.attention_mask)
    return seen[0][torch.arange(len(prompts)), rows.subject_last]

"""How what a model says moves with a layer's value at the subject, to first order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ks_core.data.facts import Fact, as_facts
from ks_core.errors import InputError
from ks_core.measurement.objects import logits_with, object_log_probabilities, object_rows, refuse_not_finite
from ks_core.models.loaded import LoadedModel

ROWS_AT_ONCE = 48
"""Rows of one forward and backward pass: with a vocabulary of 49,152 their logits take 150 MB."""


def value_gradients(model: LoadedModel, facts: Iterable[Fact], objects: Sequence[str], layer: int) -> Tensor:
    """Gradients of objects' log-probabilities with respect to the value at the subject.

        g_j = d log p(object_j | prompt_j) / d v_j,   v_j the projection's output at the subject's last token

    An edit that moves v_j by Δ_j = P[i, j] δ_i moves the log-probability by g_j · Δ_j, to first order: interference in
    units of behaviour, before any weight is touched. One forward and one backward pass.

    Args:
        model: unedited.
        facts: n facts; prompt and subject are read.
        objects: n objects; log-probabilities are means over their tokens.
        layer: the layer.

    Returns:
        (n, d_value) float64 on the CPU, in nats per unit of value.

    Raises:
        InputError: a layer that does not exist, an object of no tokens, a prompt longer than the context, or a
            log-probability that is not finite.
    """
    from tqdm.auto import tqdm

    facts = as_facts(facts)
    if not facts:
        raise InputError("no facts were given to take gradients at; expected at least one")
    gradients = []
    with tqdm(total=len(facts), unit="prompt", desc=f"gradients, layer {layer}", disable=None) as bar:
        for start in range(0, len(facts), ROWS_AT_ONCE):
            some, theirs = facts[start : start + ROWS_AT_ONCE], objects[start : start + ROWS_AT_ONCE]
            rows = object_rows(model, some, theirs)
            dtype = torch.promote_types(model.adapter.weight(layer).dtype, torch.float32)
            added = torch.zeros(
                len(some), model.adapter.d_value, dtype=dtype, device=model.adapter.device, requires_grad=True
            )
            log_probabilities = object_log_probabilities(logits_with(model, layer, rows, added), rows)
            refuse_not_finite(log_probabilities, some, theirs)
            (gradient,) = torch.autograd.grad(log_probabilities.sum(), [added])
            gradients.append(gradient.to("cpu", torch.float64))
            bar.update(len(some))
    return torch.cat(gradients)

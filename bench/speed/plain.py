"""The plain procedures that were replaced: whole rows through all layers, and the head after every token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from values_oracles import WholeRows

from ks_core.measurement.moments.text import batches
from ks_core.measurement.places import LOGITS_AT_ONCE
from ks_core.measurement.shared_beginnings import Batch, Tokens
from ks_core.models.adapter import Adapter

__all__ = ["WholeRows", "log_probabilities_everywhere", "whole_rows"]


def log_probabilities_everywhere(
    adapter: Adapter,
    input_ids: Tensor,
    attention_mask: Tensor,
    rows: Tensor,
    columns: Tensor,
    tokens: Tensor,
    _past: None,
) -> Tensor:
    """In the place of `places.log_probabilities_at`: of all tokens at all places, as many rows at once as fit."""
    at_once = max(1, LOGITS_AT_ONCE // (adapter.vocabulary * input_ids.shape[1]))
    found = torch.empty(len(rows))
    for start in range(0, len(input_ids), at_once):
        some = slice(start, start + at_once)
        with torch.inference_mode():
            logs = torch.log_softmax(adapter.logits(input_ids[some], attention_mask[some]).float(), dim=-1)
        here = (start <= rows) & (rows < start + at_once)
        found[here] = logs[rows[here] - start, columns[here], tokens[here]]
    return found


def whole_rows(_adapter: Adapter, first_read: Mapping[Tokens, int], batch_tokens: int, _pad_id: int) -> Iterator[Batch]:
    """In the place of `shared_beginnings.batches_of`: every row from its first token on."""
    for batch in batches(first_read, batch_tokens):
        yield Batch(tuple(batch), (0,) * len(batch))

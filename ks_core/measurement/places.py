"""Log-probabilities of tokens, with the model's head run only after the tokens where something is read."""

from __future__ import annotations

import torch
from torch import Tensor

from ks_core.models.adapter import Adapter
from ks_core.models.past import Past

LOGITS_AT_ONCE = 1 << 26
"""Entries of the logits that are made at once: 256 MiB in float32, whatever the size of the vocabulary."""


def log_probabilities_at(
    adapter: Adapter,
    input_ids: Tensor,
    attention_mask: Tensor,
    rows: Tensor,
    columns: Tensor,
    tokens: Tensor,
    past: Past | None = None,
) -> Tensor:
    """log p(token | what a row holds up to a column), natural logarithm, for some tokens; without gradients.

    Args:
        adapter: the model as it is, run once.
        input_ids: (batch, tokens) int64.
        attention_mask: (batch, tokens).
        rows: (n,) int64, of each token that is asked for.
        columns: (n,) int64, of the last token before it. The head runs once for each place, however often it is asked.
        tokens: (n,) int64, what may stand there.
        past: of the tokens before those that are run, as `Passes.past_of` gives it, where some stand before them;
            the batch is then padded on the right.

    Returns:
        (n,) float32 on the model's device.
    """
    width, at_once = input_ids.shape[1], max(1, LOGITS_AT_ONCE // adapter.vocabulary)
    places, which = torch.unique(rows * width + columns, return_inverse=True)
    found = torch.empty(len(rows), dtype=torch.float32, device=input_ids.device)
    with torch.inference_mode():
        hidden = adapter.hidden_states(input_ids, attention_mask, past)[places // width, places % width]
        for start in range(0, len(places), at_once):
            here = torch.nonzero((start <= which) & (which < start + at_once)).flatten()
            logits = adapter.head(hidden[start : start + at_once]).float()
            of_places = which[here] - start
            found[here] = logits[of_places, tokens[here]] - logits.logsumexp(dim=1)[of_places]
    return found


def mean_losses(adapter: Adapter, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """Negative log-likelihood of each row's tokens given those before them, in nats a token; without gradients.

    Args:
        adapter: the model as it is.
        input_ids: (batch, tokens) int64, padded on the right; each row of two tokens or more.
        attention_mask: (batch, tokens).

    Returns:
        (batch,) float64 on the model's device.
    """
    rows, columns = torch.nonzero(attention_mask[:, 1:], as_tuple=True)
    tokens = input_ids[rows, columns + 1]
    own = log_probabilities_at(adapter, input_ids, attention_mask, rows, columns, tokens).double()
    sums = own.new_zeros(len(input_ids)).index_add(0, rows, own)
    return -sums / attention_mask[:, 1:].sum(dim=1)

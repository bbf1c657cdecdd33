"""Which facts each edit may disturb most: a screen of all pairs, so that only the foremost need be simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from tqdm.auto import tqdm

from ks_core.data.facts import Fact
from ks_core.measurement.kept_facts import Batch
from ks_core.measurement.objects import refuse_not_finite
from ks_core.measurement.standing import AskedFacts, Standing, standing, unknown, wide
from ks_core.models.loaded import LoadedModel


@dataclass(frozen=True, eq=False)
class Screen:
    """Of E edits, each made alone in one layer, and M facts to keep.

    Attributes:
        before: how the facts stand in the unedited model
        first_order: (E, M) float64, loss of the own object's log-probability, in nats a token, its log-odds taken to
            first order in the values at all tokens
        largest_shares: (E, M) float64, share of the edit that is felt at a token of the prompt and object, the largest
            in size
    """

    before: Standing
    first_order: Tensor
    largest_shares: Tensor

    @property
    def order(self) -> Tensor:
        """(E, M) int64, for each edit the facts by how much they are worth simulating, foremost first.

        The better of two ranks decides: by the loss to first order, and by the largest share. Where P is small the
        change comes through many tokens a little, which the first tells; where it is large the first order fails, and
        the second tells.
        """
        ranks = [_ranks(self.first_order), _ranks(self.largest_shares.abs())]
        better = torch.minimum(*ranks) + torch.maximum(*ranks) / (2 * ranks[0].shape[1])  # of equals by the other rank
        return better.argsort(dim=1, stable=True)


def _ranks(scores: Tensor) -> Tensor:
    """(E, M) float64, from 0 for the largest in each row."""
    return (-scores).argsort(dim=1, stable=True).argsort(dim=1).double()


def screen(
    model: LoadedModel, layer: int, left: Tensor, right: Tensor, kept: Sequence[Fact], batches: Sequence[Batch]
) -> Screen:
    """Screen all pairs of edits and facts: one forward and one backward pass over the facts, for any number of edits.

        share of edit i at token t of fact j = right_i · k_jt
        change of log p_j to first order = Σ_t (right_i · k_jt) (left_i · d log p_j / d v_jt)

    Args:
        model: unedited.
        layer: that is edited.
        left: (E, d_value) float64, what each edit writes at its own key.
        right: (E, d_key) float64, along what: 1 at its own key.
        kept: M facts.
        batches: the same, as `in_batches` gives them.

    Raises:
        InputError: a layer that does not exist, or a log-probability that is not finite.
    """
    pairs = len(left), len(kept)
    first_order, largest = (torch.empty(pairs, dtype=torch.float64) for _ in range(2))
    before = unknown(len(kept))
    with tqdm(total=len(kept), desc=f"screen, layer {layer}", unit="fact", disable=None) as bar:
        for batch in batches:
            found, keys, gradients = _gradients(model, layer, batch.asked)
            some = [kept[place] for place in batch.places]
            refuse_not_finite(found.log_probability, some, [fact.target_true for fact in some])
            before.put(batch.facts, found)
            shares = torch.einsum("ek,mtk->emt", right, keys)
            slopes = torch.einsum("ev,mtv->emt", left, gradients)
            change = (shares * slopes).sum(dim=2)
            first_order[:, batch.facts] = loss_by_log_odds(found.log_probability, change)
            foremost = shares.abs().argmax(dim=2, keepdim=True)
            largest[:, batch.facts] = shares.gather(2, foremost)[:, :, 0]
            bar.update(len(some))
    return Screen(before, first_order, largest)


def loss_by_log_odds(log_probability: Tensor, change: Tensor) -> Tensor:
    """The loss of a log-probability whose log-odds change as a small change of it would have them change.

        log p − log σ(logit p + change / (1 − p))

    The slope of log p vanishes as p nears 1, where there is most to lose; that of the log-odds does not.

    Args:
        log_probability: (n,) float64.
        change: (..., n) float64, of the log-probability to first order.

    Example:
        >>> before = torch.tensor([0.99, 0.3], dtype=torch.float64).log()
        >>> loss_by_log_odds(before, torch.tensor([-0.1, -0.1])).round(decimals=2).tolist()
        [5.4, 0.1]
    """
    room = -torch.expm1(log_probability).clamp(max=-torch.finfo(torch.float32).eps)  # log p was read in float32
    return log_probability - logsigmoid(log_probability - room.log() + change / room)


def _gradients(model: LoadedModel, layer: int, asked: AskedFacts) -> tuple[Standing, Tensor, Tensor]:
    """Of m facts and t tokens: how they stand, keys and gradients, (m, t, d); float64, keys of padding zero."""
    adapter, rows = model.adapter, asked.rows
    dtype = torch.promote_types(adapter.weight(layer).dtype, torch.float32)
    shift = torch.zeros(*rows.input_ids.shape, adapter.d_value, dtype=dtype, device=adapter.device, requires_grad=True)
    keys: list[Tensor] = []
    with adapter.shifted_values(layer, shift), adapter.capture_keys([layer], lambda _, of_layer: keys.append(of_layer)):
        found = standing(adapter.logits_at(*rows.inputs, rows.read), asked)
    (gradients,) = torch.autograd.grad(found.log_probability.sum(), [shift])
    real = rows.attention_mask[:, :, None].bool()
    of_tokens = keys[0].reshape(*rows.input_ids.shape, -1).masked_fill(~real, 0)  # OPT: (m * t, d_key)
    return wide(found), of_tokens.to("cpu", torch.float64), gradients.to("cpu", torch.float64)

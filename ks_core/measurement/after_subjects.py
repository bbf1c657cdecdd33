"""Rows from their subjects on, to be run again and again with something added there; what cannot change is run once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ks_core.measurement.objects import ObjectRows, at_subjects
from ks_core.models.adapter import Adapter
from ks_core.models.past import Past
from ks_core.models.simulating import States, resumed, states_below


@dataclass(frozen=True, eq=False)
class AfterSubjects:
    """The rest of each row, from its subject's last token to the last token after which something is read.

    Tokens see only what stands before them, and a block only what the blocks below put out. What is added to a layer's
    value at a subject therefore changes nothing before that token, and nothing below that layer.

    Attributes:
        rows: the rest, padded on the right; only the columns that are read are columns of it
        past: what attention holds of the tokens before it; None where no row has any
        states: what the block below the layer puts out for the rest; None for the first layer
    """

    adapter: Adapter
    layer: int
    rows: ObjectRows
    past: Past | None
    states: States | None

    def of(self, owners: Tensor) -> AfterSubjects:
        """The rows of some facts, in their order."""
        rows = torch.nonzero(torch.isin(self.rows.owner, owners)).flatten()
        past, states = (None if of is None else of.of(rows) for of in (self.past, self.states))
        return replace(self, rows=self.rows.at(rows), past=past, states=states)  # type: ignore[arg-type]

    def logits(self, added: Tensor) -> Tensor:
        """Logits with a vector added to the layer's value at each row's subject, as `objects.logits_with` gives them.

        Args:
            added: (rows, d_value); gradients flow back to it.

        Returns:
            (places, vocabulary) in the model's dtype, after the tokens of `rows.read`.
        """
        adapter = self.adapter
        with (
            adapter.shifted_values(self.layer, at_subjects(self.rows, added)),
            resumed(adapter, self.layer, self.states),
        ):
            return adapter.logits_at(*self.rows.inputs, self.rows.read, self.past)


def after_subjects(adapter: Adapter, layer: int, rows: ObjectRows) -> AfterSubjects:
    """Run what does not change, once: the tokens before the subjects, and the blocks below a layer.

    Args:
        adapter: the model.
        layer: to whose values something will be added.
        rows: on the model's device, padded on either side.

    Raises:
        InputError: the layer does not exist.
    """
    first, (cut, count) = rows.attention_mask.argmax(dim=1), _rest(rows)
    before, (ids, mask) = _columns(rows.input_ids, first, cut - first), _columns(rows.input_ids, cut, count)
    places = torch.minimum(rows.places - cut[:, None], mask.sum(dim=1, keepdim=True) - 1)
    rest = replace(rows, input_ids=ids, attention_mask=mask, subject_last=rows.subject_last - cut, places=places)
    past = adapter.past_of(*before) if before[0].shape[1] else None
    return AfterSubjects(adapter, layer, rest, past, states_below(adapter, layer, ids, mask, past))


def lengths_of_rests(rows: ObjectRows) -> Tensor:
    """(rows,) int64, tokens from each subject's last to the last after which something is read."""
    return _rest(rows)[1]


def _rest(rows: ObjectRows) -> tuple[Tensor, Tensor]:
    """Column that the rest of each row begins at, and how many tokens it has, (rows,) each."""
    first, last = rows.places[:, 0], rows.places.masked_fill(~rows.is_read, 0).amax(dim=1)  # they rise along an object
    # Where one token holds the subject's end and the object's beginning, that is read from the token before it.
    cut = torch.minimum(rows.subject_last, first)
    return cut, torch.maximum(last, rows.subject_last) + 1 - cut


def _columns(input_ids: Tensor, start: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """So many columns of each row from one on, padded on the right: ids and mask."""
    places = torch.arange(int(count.max()), device=input_ids.device)
    mask = (places < count[:, None]).long()
    columns = (start[:, None] + places).clamp(max=input_ids.shape[1] - 1)
    return input_ids.gather(1, columns), mask

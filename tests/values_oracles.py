"""The plain way to search values: all tokens through all layers at each step, and the head after every token."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ks_core.measurement.objects import ObjectRows
from ks_core.models.adapter import Adapter
from ks_core.models.passes import position_ids


@dataclass(frozen=True, eq=False)
class WholeRows:
    """In the place of `AfterSubjects`: nothing is kept from one step to the next."""

    adapter: Adapter
    layer: int
    rows: ObjectRows

    def of(self, owners: Tensor) -> WholeRows:
        return replace(self, rows=self.rows.of(owners))

    def logits(self, added: Tensor) -> Tensor:
        rows, (batch, tokens) = self.rows, self.rows.input_ids.shape
        shift = added.new_zeros(batch, tokens, added.shape[1])
        shift = shift.index_put((torch.arange(batch), rows.subject_last), added)

        def add(_module: object, _args: object, output: Tensor) -> Tensor:
            return output + shift.to(output.dtype).reshape(output.shape)

        hook = self.adapter.projection(self.layer).register_forward_hook(add)
        try:
            logits = self.adapter.model(
                input_ids=rows.input_ids,
                attention_mask=rows.attention_mask,
                position_ids=position_ids(rows.attention_mask),
                use_cache=False,
            ).logits
        finally:
            hook.remove()
        return logits[rows.read]

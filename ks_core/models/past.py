"""What attention holds of tokens that do not change, so that later passes need only run the tokens after them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer


@dataclass(frozen=True, eq=False)
class Past:
    """The tokens before those that a pass runs; each row's end at the last column, right before these.

    Attributes:
        attention_mask: (rows, columns) int64, 1 for a token and 0 for padding, which is on the left
        layers: by layer, the two tensors that attention holds, (rows, heads, columns, d_head) each
    """

    attention_mask: Tensor
    layers: tuple[tuple[Tensor, Tensor], ...]

    def of(self, rows: Tensor) -> Past:
        """That of some rows, in any order."""
        layers = tuple((first[rows.to(first.device)], second[rows.to(second.device)]) for first, second in self.layers)
        return Past(self.attention_mask[rows], layers)

    def cache(self) -> Cache:
        """The same as transformers takes it, which passes read and leave as it is."""
        return Cache(layers=[_Unchanging(*of_layer) for of_layer in self.layers])


class _Unchanging(DynamicLayer):  # type: ignore[misc]  # untyped
    """One layer of a cache that gives what it holds with the new tokens after it, and holds no more for that."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: object, **_kwargs: object
    ) -> tuple[Tensor, Tensor]:
        return torch.cat([self.keys, key_states], dim=-2), torch.cat([self.values, value_states], dim=-2)


def pushed_right(cache: Cache, attention_mask: Tensor) -> Past:
    """A past from rows that were run with their padding on the right, which moves to the left.

    Attention reads the positions that a token had when it was run, so its column is free to change. Rows are run with
    padding on the right because a padded token on the left sees no token at all, and some families then divide by zero.

    Args:
        cache: as the pass left it.
        attention_mask: (rows, columns), of the pass; a row may be all padding.
    """
    columns = attention_mask.shape[1]
    shift = columns - attention_mask.sum(dim=1)
    source = torch.arange(columns, device=attention_mask.device) - shift[:, None]  # (rows, columns)
    real, source = (source >= 0).to(attention_mask.dtype), source.clamp(min=0)

    def moved(held: Tensor) -> Tensor:
        return held.gather(2, source[:, None, :, None].to(held.device).expand(-1, held.shape[1], -1, held.shape[3]))

    return Past(real, tuple((moved(layer.keys), moved(layer.values)) for layer in cache.layers))

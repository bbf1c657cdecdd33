"""Rows to be read, with the tokens that several of them begin with run once for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ks_core.measurement.moments.text import batches
from ks_core.models.adapter import Adapter
from ks_core.models.past import Past
from ks_core.models.tokens import pad_rows

Tokens = tuple[int, ...]

PAST_AT_ONCE = 1 << 26
"""Entries of a past that are held at once: 256 MiB in float32, and some copies of it."""

LEAST_SPARED = 64
"""Tokens that pasts must spare to be made: the pass more that they take costs some twenty tokens on a CPU."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of one forward pass, each from its first token that is run.

    Attributes:
        rows: whole ones
        cut: how many tokens of each the past holds
        past: of these tokens; None where whole rows are run
    """

    rows: tuple[Tokens, ...]
    cut: tuple[int, ...]
    past: Past | None = None

    def inputs(self, pad_id: int) -> tuple[Tensor, Tensor]:
        """What is run, padded on the right, where causal models never see it: ids and mask, (rows, tokens) each."""
        return pad_rows([row[cut:] for row, cut in zip(self.rows, self.cut, strict=True)], pad_id)


@dataclass(frozen=True)
class _Rest:
    row: Tokens
    cut: int
    beginning: int
    width: int

    def __len__(self) -> int:
        """Columns of a pass over it, those of its past among them."""
        return self.width + len(self.row) - self.cut


def longer_rows(rows: Iterable[Tokens]) -> dict[Tokens, Tokens]:
    """By row, the row to run for it: itself, unless it is how another begins, which then holds all that it does.

    Example:
        >>> longer_rows([(1, 2), (1, 2, 3), (1, 3)])
        {(1, 3): (1, 3), (1, 2, 3): (1, 2, 3), (1, 2): (1, 2, 3)}
    """
    found: dict[Tokens, Tokens] = {}
    longer: Tokens = ()
    for row in sorted(rows, reverse=True):  # all that begin with a row stand right before it
        longer = longer if longer[: len(row)] == row else row
        found[row] = longer
    return found


def beginnings_of(first_read: Mapping[Tokens, int]) -> dict[Tokens, list[Tokens]]:
    """Rows by what they begin with, up to the first token after which something is read.

    Args:
        first_read: distinct rows, each with the column of that token.

    Example:
        >>> beginnings_of({(1, 2, 3): 1, (1, 4): 1, (5, 6): 1})
        {(1,): [(1, 2, 3), (1, 4)], (5,): [(5, 6)]}
    """
    groups: dict[Tokens, list[Tokens]] = {}
    for row, column in first_read.items():
        groups.setdefault(row[:column], []).append(row)
    return groups


def batches_of(adapter: Adapter, first_read: Mapping[Tokens, int], batch_tokens: int, pad_id: int) -> Iterator[Batch]:
    """Each row once. Those that share a beginning with another come with its past, others whole.

    Where fewer than `LEAST_SPARED` tokens could be spared, all come whole.

    Args:
        adapter: runs the beginnings, each once.
        first_read: distinct rows, each with the column of the first token after which something is read.
        batch_tokens: rows × longest row of one forward pass, past included; less where `PAST_AT_ONCE` says so.
        pad_id: token put into the padding.
    """
    groups = beginnings_of(first_read)
    shared = {beginning: rows for beginning, rows in groups.items() if beginning and len(rows) > 1}
    if sum(len(beginning) * (len(rows) - 1) for beginning, rows in shared.items()) < LEAST_SPARED:
        shared = {}
    # Keys and values of each layer, which are no wider than the model but in few families.
    most = min(batch_tokens, PAST_AT_ONCE // (2 * adapter.num_layers * adapter.d_value))
    if most < batch_tokens // 2:  # of a large model, where many small passes would cost more than they spare
        shared, most = {}, batch_tokens
    lone = [row for beginning, rows in groups.items() if beginning not in shared for row in rows]
    for batch in batches(lone, batch_tokens):
        yield Batch(tuple(batch), (0,) * len(batch))
    for beginnings in batches(shared, most):
        yield from _after(adapter, beginnings, shared, most, pad_id)


def _after(
    adapter: Adapter, beginnings: Sequence[Tokens], rows: Mapping[Tokens, list[Tokens]], batch_tokens: int, pad_id: int
) -> Iterator[Batch]:
    ids, mask = (of.to(adapter.device) for of in pad_rows(beginnings, pad_id))
    past, width = adapter.past_of(ids, mask), ids.shape[1]
    rests = [
        _Rest(row, len(beginning), number, width)
        for number, beginning in enumerate(beginnings)
        for row in rows[beginning]
    ]
    for batch in batches(rests, batch_tokens):
        owners = torch.tensor([rest.beginning for rest in batch], device=adapter.device)
        yield Batch(tuple(rest.row for rest in batch), tuple(rest.cut for rest in batch), past.of(owners))

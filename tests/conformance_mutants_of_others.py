"""Second-moment collectors with one realistic fault each, and the law that must name it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ks_core.conformance import reference

Shards = list[list[tuple[Tensor, Tensor]]]


def tokens_of(shards: Shards) -> Tensor:
    return torch.cat([keys[mask.bool()] for shard in shards for keys, mask in shard])


def centred(shards: Shards) -> Tensor:
    keys = tokens_of(shards)
    keys = keys - keys.mean(dim=0)
    return keys.T @ keys / len(keys)


def last_token_dropped(shards: Shards) -> Tensor:
    keys = tokens_of(shards)[:-1]
    return keys.T @ keys / len(keys)


def divided_by_one_less(shards: Shards) -> Tensor:
    keys = tokens_of(shards)
    return keys.T @ keys / (len(keys) - 1)


def moving_average(shards: Shards) -> Tensor:
    keys = tokens_of(shards)
    mean = torch.outer(keys[0], keys[0])
    for key in keys[1:]:
        mean = 0.9 * mean + 0.1 * torch.outer(key, key)
    return mean


def mean_of_batches(shards: Shards) -> Tensor:
    rows = [keys[mask.bool()] for shard in shards for keys, mask in shard]
    return torch.stack([keys.T @ keys / len(keys) for keys in rows]).mean(dim=0)


def padding_counted(shards: Shards) -> Tensor:
    keys = torch.cat([keys.flatten(0, 1) for shard in shards for keys, _ in shard])
    return keys.T @ keys / len(keys)


def mask_from_the_left(shards: Shards) -> Tensor:
    """The first tokens of each row, as many as there are: right where padding is on the right."""
    rows = [row[: int(m.sum())] for shard in shards for keys, mask in shard for row, m in zip(keys, mask, strict=True)]
    keys = torch.cat(rows)
    return keys.T @ keys / len(keys)


def mean_of_shards(shards: Shards) -> Tensor:
    return torch.stack([reference.collector([shard]) for shard in shards]).mean(dim=0)


def last_shard_only(shards: Shards) -> Tensor:
    return reference.collector(shards[-1:])


def summed_in_half_precision(shards: Shards) -> Tensor:
    keys = tokens_of(shards)
    total = torch.zeros(keys.shape[1], keys.shape[1], dtype=keys.dtype)
    for key in keys:
        total += torch.outer(key, key)
    return total.double() / len(keys)


def one_triangle(shards: Shards) -> Tensor:
    return reference.collector(shards).triu()


def masked_in_place(shards: Shards) -> Tensor:
    for shard in shards:
        for keys, mask in shard:
            keys *= mask[..., None]
    return reference.collector(shards)


TOTALS: dict[int, Tensor] = {}


def kept_in_the_module(shards: Shards) -> Tensor:
    fresh = reference.collector(shards)
    TOTALS[len(fresh)] = TOTALS.get(len(fresh), 0) + 1e-6 * fresh
    return fresh + TOTALS[len(fresh)] - 1e-6 * fresh


COLLECTORS: dict[str, tuple[Any, str]] = {
    "centred": (centred, "collector_takes_the_uncentred_mean"),
    "last_token_dropped": (last_token_dropped, "collector_takes_the_uncentred_mean"),
    "divided_by_one_less": (divided_by_one_less, "collector_takes_the_uncentred_mean"),
    "moving_average": (moving_average, "collector_ignores_the_order"),
    "mean_of_batches": (mean_of_batches, "collector_ignores_the_batch_split"),
    "padding_counted": (padding_counted, "collector_skips_padding"),
    "mask_from_the_left": (mask_from_the_left, "collector_skips_padding"),
    "mean_of_shards": (mean_of_shards, "collector_merges_shards"),
    "last_shard_only": (last_shard_only, "collector_merges_shards"),
    "summed_in_half_precision": (summed_in_half_precision, "collector_widens_half_precision"),
    "one_triangle": (one_triangle, "collector_is_symmetric"),
    "masked_in_place": (masked_in_place, "collector_leaves_keys_alone"),
    "kept_in_the_module": (kept_in_the_module, "collector_keeps_no_state"),
}

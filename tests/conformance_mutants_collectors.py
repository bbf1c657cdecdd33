"""Second-moment collectors with one realistic fault each, and the law that must name it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ks_core.conformance import reference, traits

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


def batches_of(shards: Shards) -> Iterator[Tensor]:
    return (keys[mask.bool()] for shard in shards for keys, mask in shard)


@traits(dtype="float32")
def running_sum_in_float32(shards: Shards) -> Tensor:
    """Products and sums in the dtype of the keys, float32 at least: right for a while."""
    total, count = torch.zeros(()), 0
    for keys in batches_of(shards):
        total, count = total + keys.float().T @ keys.float(), count + len(keys)
    return total.double() / count


@traits(dtype="bfloat16")
def half_precision_in_a_float32_sum(shards: Shards) -> Tensor:
    return running_sum_in_float32(shards)


@traits(dtype="float32")
def running_mean_in_float32(shards: Shards) -> Tensor:
    keys = tokens_of(shards).float()
    mean = torch.zeros(keys.shape[1], keys.shape[1])
    for n, key in enumerate(keys, start=1):
        mean += (torch.outer(key, key) - mean) / n
    return mean


@traits(dtype="float32", computes="float64")
def products_in_float32(shards: Shards) -> Tensor:
    """No fault of the sums, whose error does not grow with the text, but not what is claimed of the products."""
    rows = list(batches_of(shards))
    return torch.stack([(keys.float().T @ keys.float()).double() for keys in rows]).sum(dim=0) / sum(map(len, rows))


CHUNK = 16


@traits(dtype="float16")
def half_precision_sums_of_chunks(shards: Shards) -> Tensor:
    """A float64 total of sums that were rounded before they came into it."""
    keys = tokens_of(shards)
    sums = []
    for chunk in torch.split(keys, CHUNK):
        total = torch.zeros(keys.shape[1], keys.shape[1], dtype=keys.dtype)
        for key in chunk:
            total += torch.outer(key, key)
        sums.append(total.double())
    return torch.stack(sums).sum(dim=0) / len(keys)


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
    "half_precision_sums_of_chunks": (half_precision_sums_of_chunks, "collector_widens_half_precision"),
    "running_sum_in_float32": (running_sum_in_float32, "collector_sums_are_as_precise_as_claimed"),
    "half_precision_in_a_float32_sum": (half_precision_in_a_float32_sum, "collector_sums_are_as_precise_as_claimed"),
    "running_mean_in_float32": (running_mean_in_float32, "collector_sums_are_as_precise_as_claimed"),
    "products_in_float32": (products_in_float32, "collector_sums_are_as_precise_as_claimed"),
    "one_triangle": (one_triangle, "collector_is_symmetric"),
    "masked_in_place": (masked_in_place, "collector_leaves_keys_alone"),
    "kept_in_the_module": (kept_in_the_module, "collector_keeps_no_state"),
}

"""Second-moment collectors and key extractors with one realistic fault each, and the law that must name it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ks_core.conformance import reference
from ks_core.models.adapter import Adapter
from ks_core.models.tokens import tokenise_prompts

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


def keys_at(model: Any, ids: Tensor, mask: Tensor, columns: Tensor, layer: int) -> Tensor:
    """The right way from positions to keys."""
    adapter = Adapter(model)
    seen: list[Tensor] = []
    with torch.inference_mode(), adapter.capture_keys([layer], lambda _, keys: seen.append(keys)):
        adapter.hidden_states(ids, mask)
    return seen[0][torch.arange(len(ids)), columns]


def last_token_of_the_prompt(model: Any, tokenizer: Any, prompts: Any, spans: Any, layer: int) -> Tensor:
    del spans
    rows = tokenise_prompts(tokenizer, prompts, [(0, len(prompt)) for prompt in prompts])
    return keys_at(model, rows.input_ids, rows.attention_mask, rows.subject_last, layer)


def token_after_the_subject(model: Any, tokenizer: Any, prompts: Any, spans: Any, layer: int) -> Tensor:
    rows = tokenise_prompts(tokenizer, prompts, spans)
    columns = (rows.subject_last + 1).clamp(max=rows.input_ids.shape[1] - 1)
    return keys_at(model, rows.input_ids, rows.attention_mask, columns, layer)


def counted_from_the_parts(model: Any, tokenizer: Any, prompts: Any, spans: Any, layer: int) -> Tensor:
    """Tokens of the text up to the subject's end, counted without the special token in front."""
    rows = tokenise_prompts(tokenizer, prompts, spans)
    heads = [prompt[:end] for prompt, (_, end) in zip(prompts, spans, strict=True)]
    lengths = [len(ids) for ids in tokenizer(heads, add_special_tokens=False)["input_ids"]]
    padding = rows.input_ids.shape[1] - rows.attention_mask.sum(dim=1) if tokenizer.padding_side == "left" else 0
    return keys_at(model, rows.input_ids, rows.attention_mask, torch.tensor(lengths) - 1 + padding, layer)


def padding_side_forgotten(model: Any, tokenizer: Any, prompts: Any, spans: Any, layer: int) -> Tensor:
    rows = tokenise_prompts(tokenizer, prompts, spans)
    padding = rows.input_ids.shape[1] - rows.attention_mask.sum(dim=1) if tokenizer.padding_side == "left" else 0
    return keys_at(model, rows.input_ids, rows.attention_mask, rows.subject_last - padding, layer)


def column_of_the_first_prompt(model: Any, tokenizer: Any, prompts: Any, spans: Any, layer: int) -> Tensor:
    rows = tokenise_prompts(tokenizer, prompts, spans)
    columns = rows.subject_last[:1].expand(len(prompts)).minimum(rows.attention_mask.sum(dim=1) - 1)
    return keys_at(model, rows.input_ids, rows.attention_mask, columns, layer)


def padding_attended_to(model: Any, tokenizer: Any, prompts: Any, spans: Any, layer: int) -> Tensor:
    rows = tokenise_prompts(tokenizer, prompts, spans)
    return keys_at(model, rows.input_ids, torch.ones_like(rows.attention_mask), rows.subject_last, layer)


def sorted_by_length(model: Any, tokenizer: Any, prompts: Any, spans: Any, layer: int) -> Tensor:
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    return reference.extractor(model, tokenizer, [prompts[i] for i in order], [spans[i] for i in order], layer)


def hook_left_behind(model: Any, tokenizer: Any, prompts: Any, spans: Any, layer: int) -> Tensor:
    Adapter(model).projection(layer).register_forward_pre_hook(lambda *_: None)
    return reference.extractor(model, tokenizer, prompts, spans, layer)


EXTRACTORS: dict[str, tuple[Any, str]] = {
    "last_token_of_the_prompt": (last_token_of_the_prompt, "extractor_reads_the_subjects_last_token"),
    "token_after_the_subject": (token_after_the_subject, "extractor_reads_the_subjects_last_token"),
    "counted_from_the_parts": (counted_from_the_parts, "extractor_reads_the_subjects_last_token"),
    "padding_side_forgotten": (padding_side_forgotten, "extractor_ignores_the_padding_side"),
    "padding_attended_to": (padding_attended_to, "extractor_ignores_the_padding_side"),
    "column_of_the_first_prompt": (column_of_the_first_prompt, "extractor_ignores_the_batch_size"),
    "sorted_by_length": (sorted_by_length, "extractor_keeps_the_order_of_prompts"),
    "hook_left_behind": (hook_left_behind, "extractor_leaves_the_model_alone"),
}

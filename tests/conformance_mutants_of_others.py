"""Key extractors with one realistic fault each, and the law that must name it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ks_core.conformance import reference
from ks_core.models.adapter import Adapter
from ks_core.models.tokens import tokenise_prompts


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

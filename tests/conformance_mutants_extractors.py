"""Key extractors with one realistic fault each, and the law that must name it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ks_core.conformance import reference
from ks_core.models.adapter import Adapter
from ks_core.models.tokens import tokenise_prompts

Spans = list[tuple[int, int]]


def keys_at(model: Any, ids: Tensor, mask: Tensor, columns: Tensor, layer: int) -> Tensor:
    """The right way from positions to keys."""
    adapter = Adapter(model)
    seen: list[Tensor] = []
    with torch.inference_mode(), adapter.capture_keys([layer], lambda _, keys: seen.append(keys)):
        adapter.hidden_states(ids, mask)
    return seen[0][torch.arange(len(ids)), columns]


def read(model: Any, tokenizer: Any, prompts: list[str], last: list[int], layer: int) -> Tensor:
    """The right way from columns, counted without padding, to keys."""
    rows = tokenise_prompts(tokenizer, prompts, [(0, len(prompt)) for prompt in prompts])
    padding = rows.input_ids.shape[1] - rows.attention_mask.sum(dim=1) if tokenizer.padding_side == "left" else 0
    columns = (torch.tensor(last) + padding).clamp(0, rows.input_ids.shape[1] - 1)
    return keys_at(model, rows.input_ids, rows.attention_mask, columns, layer)


def tokens_in(tokenizer: Any, text: str, *, special: bool = False) -> list[int]:
    return list(tokenizer(text, add_special_tokens=special)["input_ids"]) if text else []


def tokens_in_front(tokenizer: Any) -> int:
    """How many special tokens the tokenizer really puts in front."""
    return len(tokens_in(tokenizer, "a", special=True)) - len(tokens_in(tokenizer, "a"))


def last_token_of_the_prompt(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    del spans
    rows = tokenise_prompts(tokenizer, prompts, [(0, len(prompt)) for prompt in prompts])
    return keys_at(model, rows.input_ids, rows.attention_mask, rows.subject_last, layer)


def token_after_the_subject(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    rows = tokenise_prompts(tokenizer, prompts, spans)
    columns = (rows.subject_last + 1).clamp(max=rows.input_ids.shape[1] - 1)
    return keys_at(model, rows.input_ids, rows.attention_mask, columns, layer)


def special_tokens_left_out(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    """Tokens of the text up to the subject's end, counted without the special token in front."""
    heads = [prompt[:end] for prompt, (_, end) in zip(prompts, spans, strict=True)]
    return read(model, tokenizer, prompts, [len(tokens_in(tokenizer, head)) - 1 for head in heads], layer)


IN_FRONT = {"llama": 1, "gpt2": 0}


def counted_by_the_models_name(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    """A Llama's tokenizer puts one token in front, it is thought; SmolLM2's and Qwen's do not."""
    heads = [prompt[:end] for prompt, (_, end) in zip(prompts, spans, strict=True)]
    front = IN_FRONT[model.config.model_type]
    return read(model, tokenizer, prompts, [front + len(tokens_in(tokenizer, head)) - 1 for head in heads], layer)


def counted_up_to_the_subjects_end(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    """The text up to the subject's end as if its tokens stayed when the text goes on."""
    heads = [prompt[:end] for prompt, (_, end) in zip(prompts, spans, strict=True)]
    return read(model, tokenizer, prompts, [len(tokens_in(tokenizer, head, special=True)) - 1 for head in heads], layer)


def counted_in_parts(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    """The text before the subject and the subject each by itself, the space between them with the subject."""
    last = []
    for prompt, (start, end) in zip(prompts, spans, strict=True):
        before, subject = prompt[:start].rstrip(), prompt[start:end]
        # SentencePiece puts a space before the first word of a text, here the subject's.
        spaced = start > 0 and "Ġ" in tokenizer.get_vocab()
        parts = tokens_in(tokenizer, before) + tokens_in(tokenizer, " " + subject if spaced else subject)
        last.append(tokens_in_front(tokenizer) + len(parts) - 1)
    return read(model, tokenizer, prompts, last, layer)


def subjects_tokens_searched(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    """The tokens of the subject alone, with a space before it and without, found again in those of the prompt."""
    last = []
    for prompt, (start, end) in zip(prompts, spans, strict=True):
        row, subject = tokens_in(tokenizer, prompt, special=True), prompt[start:end]
        places = [
            place + len(wanted) - 1
            for wanted in (tokens_in(tokenizer, " " + subject), tokens_in(tokenizer, subject))
            for place in range(len(row))
            if row[place : place + len(wanted)] == wanted
        ]
        last.append(places[-1] if places else len(row) - 1)
    return read(model, tokenizer, prompts, last, layer)


def first_place_in_the_prompt(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    subjects = [prompt[start:end] for prompt, (start, end) in zip(prompts, spans, strict=True)]
    starts = [prompt.index(subject) for prompt, subject in zip(prompts, subjects, strict=True)]
    found = [(start, start + len(subject)) for start, subject in zip(starts, subjects, strict=True)]
    return reference.extractor(model, tokenizer, prompts, found, layer)


def no_positions_given(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    """The mask alone, which does not keep padding on the left from being counted."""
    rows = tokenise_prompts(tokenizer, prompts, spans)
    seen: list[Tensor] = []
    with torch.inference_mode(), Adapter(model).capture_keys([layer], lambda _, keys: seen.append(keys)):
        model(input_ids=rows.input_ids, attention_mask=rows.attention_mask)
    return seen[0][torch.arange(len(prompts)), rows.subject_last]


def padding_side_forgotten(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    rows = tokenise_prompts(tokenizer, prompts, spans)
    padding = rows.input_ids.shape[1] - rows.attention_mask.sum(dim=1) if tokenizer.padding_side == "left" else 0
    return keys_at(model, rows.input_ids, rows.attention_mask, rows.subject_last - padding, layer)


def column_of_the_first_prompt(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    rows = tokenise_prompts(tokenizer, prompts, spans)
    columns = rows.subject_last[:1].expand(len(prompts)).minimum(rows.attention_mask.sum(dim=1) - 1)
    return keys_at(model, rows.input_ids, rows.attention_mask, columns, layer)


def padding_attended_to(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    rows = tokenise_prompts(tokenizer, prompts, spans)
    return keys_at(model, rows.input_ids, torch.ones_like(rows.attention_mask), rows.subject_last, layer)


def sorted_by_length(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    return reference.extractor(model, tokenizer, [prompts[i] for i in order], [spans[i] for i in order], layer)


def hook_left_behind(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    Adapter(model).projection(layer).register_forward_pre_hook(lambda *_: None)
    return reference.extractor(model, tokenizer, prompts, spans, layer)


def left_in_training(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    keys = reference.extractor(model, tokenizer, prompts, spans, layer)
    model.train()
    return keys


def settings_changed(model: Any, tokenizer: Any, prompts: list[str], spans: Spans, layer: int) -> Tensor:
    model.config.use_cache = False
    return reference.extractor(model, tokenizer, prompts, spans, layer)


EXTRACTORS: dict[str, tuple[Any, str]] = {
    "last_token_of_the_prompt": (last_token_of_the_prompt, "extractor_reads_the_subjects_last_token"),
    "token_after_the_subject": (token_after_the_subject, "extractor_reads_the_subjects_last_token"),
    "special_tokens_left_out": (special_tokens_left_out, "extractor_reads_the_subjects_last_token"),
    "counted_by_the_models_name": (counted_by_the_models_name, "extractor_reads_the_subjects_last_token"),
    "counted_up_to_the_subjects_end": (counted_up_to_the_subjects_end, "extractor_reads_subjects_joined_to_other_text"),
    "counted_in_parts": (counted_in_parts, "extractor_reads_subjects_joined_to_other_text"),
    "subjects_tokens_searched": (subjects_tokens_searched, "extractor_reads_subjects_joined_to_other_text"),
    "first_place_in_the_prompt": (first_place_in_the_prompt, "extractor_reads_the_place_that_the_span_gives"),
    "no_positions_given": (no_positions_given, "extractor_counts_positions_without_padding"),
    "padding_side_forgotten": (padding_side_forgotten, "extractor_ignores_the_padding_side"),
    "padding_attended_to": (padding_attended_to, "extractor_ignores_the_padding_side"),
    "column_of_the_first_prompt": (column_of_the_first_prompt, "extractor_ignores_the_batch_size"),
    "sorted_by_length": (sorted_by_length, "extractor_keeps_the_order_of_prompts"),
    "left_in_training": (left_in_training, "extractor_leaves_the_model_alone"),
    "settings_changed": (settings_changed, "extractor_leaves_the_model_alone"),
    "hook_left_behind": (hook_left_behind, "extractor_leaves_the_model_alone"),
}

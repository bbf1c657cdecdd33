"""Keys of facts: the input of each layer's projection at the subject's last token, for all layers in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from ks_core import arguments
from ks_core.data.facts import Fact, as_facts
from ks_core.errors import InputError
from ks_core.measurement.subjects import described, subject_rows
from ks_core.models.loaded import LoadedModel
from ks_core.models.tokens import TokenisedPrompts


def subject_keys(
    model: LoadedModel, facts: Iterable[Fact], layers: Sequence[int] | None = None, *, batch_tokens: int = 8192
) -> dict[int, Tensor]:
    """The key of every fact in every layer.

    Args:
        model: the model, on its device and in its dtype.
        facts: n facts; the prompt is read with its subject filled in.
        layers: which layers; default all.
        batch_tokens: rows × longest row of one forward pass; 128 facts of the usual length fit in one.

    Returns:
        By layer: (n, d_key) float64 on the CPU, row i for fact i.

    Raises:
        InputError: a layer that does not exist, a prompt longer than the context, a subject that cannot be found among
            the tokens, or keys that are not finite; names the fact.
    """
    layers = tuple(range(model.adapter.num_layers)) if layers is None else _checked_layers(model, layers)
    facts = as_facts(facts)
    if not facts:
        raise InputError("no facts were given to read keys of; expected at least one")
    prompts = subject_rows(model, [fact.text for fact in facts], [fact.subject_span for fact in facts], facts)
    parts: dict[int, list[Tensor]] = {layer: [] for layer in layers}
    for rows in _row_blocks(prompts, batch_tokens):
        _keys_of_rows(model, prompts, rows, parts)
    keys = {layer: torch.cat(blocks) for layer, blocks in parts.items()}
    for layer, block in keys.items():
        bad = torch.nonzero(~torch.isfinite(block).all(dim=1))
        if len(bad):
            fact = facts[int(bad[0])]
            raise InputError(
                f"the key of {described(fact)} at layer {layer} is NaN or infinite; expected "
                "finite keys: run the model in float32 or bfloat16"
            )
    return keys


def _checked_layers(model: LoadedModel, layers: Iterable[int]) -> tuple[int, ...]:
    given = arguments.items("layers", layers, "a collection of layer numbers")
    found = tuple(arguments.whole_number(f"layers[{place}]", layer) for place, layer in enumerate(given))
    for layer in found:
        model.adapter.layer_name(layer)  # raises where there is none
    return found


def _row_blocks(prompts: TokenisedPrompts, batch_tokens: int) -> Iterator[slice]:
    rows, width = prompts.input_ids.shape
    step = max(1, batch_tokens // width)
    for start in range(0, rows, step):
        yield slice(start, start + step)


def _keys_of_rows(model: LoadedModel, prompts: TokenisedPrompts, rows: slice, parts: dict[int, list[Tensor]]) -> None:
    device = model.adapter.device
    last = prompts.subject_last[rows].to(device)
    row = torch.arange(len(last), device=device)

    def receive(layer: int, keys: Tensor) -> None:
        parts[layer].append(keys[row.to(keys.device), last.to(keys.device)].to("cpu", torch.float64))

    if parts:
        with torch.inference_mode():
            ids, mask = prompts.input_ids[rows].to(device), prompts.attention_mask[rows].to(device)
            model.adapter.read_keys(list(parts), ids, mask, receive)

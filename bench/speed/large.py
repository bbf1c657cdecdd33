"""A model of the shape of a large one, with weights drawn on its device, and what collecting from it takes there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from limits import Amount, matrix_rate
from transformers import LlamaConfig, LlamaForCausalLM

from ks_core.measurement.moments import blocks
from ks_core.measurement.moments.accumulator import FLUSH_TOKENS, FlushedAccumulator, SecondMomentAccumulator
from ks_core.measurement.moments.passes import accumulate
from ks_core.measurement.moments.plan import MomentPlan
from ks_core.measurement.moments.text import Piece, batches
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import load_model
from ks_core.models.tiny import VOCABULARY, byte_level_tokenizer

LLAMA_3_8B = {
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
}
"""But for the vocabulary: a token reads one row of the embedding, and nothing of the head, which stays unread; with
128,256 of each they would be 2.1 GB of weights that collecting never multiplies with."""

TINY = {
    "hidden_size": 16,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 64,
}


def drawn_model(sizes: Mapping[str, Any], device: str, dtype: torch.dtype = torch.bfloat16) -> LoadedModel:
    """Weights as the config initialises them, made where they stay and in their dtype: nothing passes the host."""
    torch.manual_seed(0)
    config = LlamaConfig(**sizes, vocab_size=VOCABULARY)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)
    return load_model(model, byte_level_tokenizer())


@dataclass(frozen=True)
class Taken:
    """What reading some batches took.

    Attributes:
        seconds: of each batch, without the first, which warms up
        limit: the least seconds for a batch, of products alone at the rates of this device
        words: what that limit is
        peak: bytes that torch held at most on a GPU; 0 on a CPU, which counts none
        planned: bytes of the plan without what CUDA takes before the first tensor
        context: bytes of the GPU in use that torch does not hold; other processes' too
        sums: of the layers of the first pass
    """

    seconds: tuple[float, ...]
    limit: Amount
    words: str
    peak: int
    planned: int
    context: int
    sums: Mapping[int, SecondMomentAccumulator]


def drawn_batches(count: int, batch_tokens: int, longest: int) -> list[list[Piece]]:
    """Rows of drawn tokens, all of one length: no padding, which would be no work of the limit."""
    draw = torch.Generator().manual_seed(0)
    rows = count * batch_tokens // longest
    drawn = torch.randint(0, 400, (rows, longest), generator=draw)  # tokens that the tokenizer has
    return list(batches([Piece(row.tolist(), 0) for row in drawn], batch_tokens))


def taken(model: LoadedModel, plan: MomentPlan, *, count: int, batch_tokens: int, longest: int, home: Path) -> Taken:
    """Read `count` batches for the layers of the plan's first pass, as a collection does, but for its files.

    Args:
        plan: of this model and device; says the layers and where their sums are.
        home: a folder for sums that are mapped.
    """
    device, layers = model.adapter.device, plan.passes[0]
    limit, words = least_seconds(model, plan, batch_tokens)
    if device.type == "cuda":
        torch.cuda.empty_cache()  # of the products of the limit
        torch.cuda.reset_peak_memory_stats(device)
    sums = {layer: _accumulator(model, plan, home) for layer in layers}
    seconds = tuple(_timed(model, drawn_batches(count + 1, batch_tokens, longest), sums))
    peak = context = 0
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
        free, whole = torch.cuda.mem_get_info(device)
        context = whole - free - torch.cuda.memory_reserved(device)
    planned = sum(size for part, size in plan.device.items() if part not in ("CUDA", "process"))
    return Taken(seconds[1:], limit, words, peak, planned, context, sums)


def _accumulator(model: LoadedModel, plan: MomentPlan, home: Path) -> SecondMomentAccumulator:
    d_key, device = int(model.adapter.d_key), model.adapter.device
    if plan.placing.short:
        return FlushedAccumulator(d_key, device, home=home if plan.placing.mapped else None)
    return SecondMomentAccumulator(d_key, device)


def _timed(model: LoadedModel, read: list[list[Piece]], sums: Mapping[int, SecondMomentAccumulator]) -> Iterator[float]:
    """Seconds of each batch, flushes with the batch they come after."""
    waiting = 0
    for batch in read:
        _wait(model)
        start = time.perf_counter()
        waiting += sum(map(len, batch))
        accumulate(model, batch, sums)
        if waiting + sum(map(len, batch)) > FLUSH_TOKENS or batch is read[-1]:
            for accumulator in sums.values():
                accumulator.flush()
            waiting = 0
        _wait(model)
        yield time.perf_counter() - start


def least_seconds(model: LoadedModel, plan: MomentPlan, batch_tokens: int) -> tuple[Amount, str]:
    """The products of the forward pass at the device's rate in the model's dtype, and those of the sums in float32.

    Attention's own products are left out, and so is all that is no product: the limit is one that cannot be reached.
    """
    adapter, layers, dtype = model.adapter, plan.passes[0], model.model.dtype
    d_key, d_value, device = int(adapter.d_key), int(adapter.d_value), adapter.device
    forward = matrix_rate(dtype, batch_tokens, d_value, d_key, device)
    products = matrix_rate(torch.float32, blocks.edges(d_key)[1], batch_tokens, d_key, device)
    passed = forward.seconds(2.0 * batch_tokens * plan.shape.below[max(layers)])
    summed = products.seconds(2.0 * batch_tokens * blocks.numbers(d_key) * len(layers))
    error = ((passed.error or 0) ** 2 + (summed.error or 0) ** 2) ** 0.5
    words = f"the forward pass at the rate of {forward.words}, the products at that of {products.words}"
    return Amount(passed.value + summed.value, error, passed.rounds), words


def _wait(model: LoadedModel) -> None:
    if model.adapter.device.type == "cuda":
        torch.cuda.synchronize(model.adapter.device)

"""Second moments of all layers, against the passes and products that they need and against a pass for each layer."""

import pytest
import torch
from limits import Beside, Product, note

from ks_core.measurement.moments import blocks
from ks_core.measurement.moments.accumulator import SecondMomentAccumulator
from ks_core.measurement.moments.passes import accumulate
from ks_core.models.tokens import pad_rows, padding_id

pytestmark = pytest.mark.speed

LARGEST_RATIO = 1.15
"""Of the limit, which is the forward passes and the products of blocks at the machine's rate: 1 were adding up free. A
block's product is read and added in float64 once a batch, some 7 % of the products' time at 2,048 tokens a batch."""

PASSES_OF = (0, 10, 29)
"""Layers that the replaced procedure is timed for, one after another; the others cost the same."""


STEP = 4
"""Of the batches each fourth is read, short texts and long: six readings of all would take a quarter of an hour."""


def forward_only(model, batch):
    ids, mask = pad_rows([piece.ids for piece in batch], padding_id(model.tokenizer))
    with torch.inference_mode():
        model.adapter.hidden_states(ids, mask)


def pass_for_one_layer(model, batch, layer, total):
    """As ROME and its kin collect: a forward pass of the whole model for one layer, and the full product."""
    ids, mask = pad_rows([piece.ids for piece in batch], padding_id(model.tokenizer))
    counted = mask.bool()

    def receive(_, keys):
        keys = keys[counted]
        total.add_(keys.T @ keys)

    with torch.inference_mode(), model.adapter.capture_keys([layer], receive):
        model.adapter.hidden_states(ids, mask)


def test_moments_of_all_layers_cost_little_more_than_a_forward_pass(benchmark, model, text_batches):
    adapter, text_batches = model.adapter, text_batches[::STEP]
    sums = {layer: SecondMomentAccumulator(adapter.d_key) for layer in range(adapter.num_layers)}
    full = {layer: torch.zeros(adapter.d_key, adapter.d_key, dtype=torch.float64) for layer in PASSES_OF}
    turn = iter(range(len(text_batches)))
    at = {}

    def next_batch():
        at["batch"] = text_batches[next(turn)]

    def layer_by_layer():
        for layer in PASSES_OF:
            pass_for_one_layer(model, at["batch"], layer, full[layer])

    product = Product(torch.float32, adapter.d_key // blocks.FEWEST, 2048, adapter.d_key)
    beside = Beside(
        batch=next_batch, forward=lambda: forward_only(model, at["batch"]), product=product, layers=layer_by_layer
    )
    forward_only(model, text_batches[0])
    benchmark.pedantic(
        lambda: accumulate(model, at["batch"], sums), setup=beside, rounds=len(text_batches), warmup_rounds=0
    )
    tokens = [sum(map(len, batch)) for batch in text_batches]
    flop = [2.0 * count * blocks.numbers(adapter.d_key) * adapter.num_layers for count in tokens]
    of = beside.seconds
    limits = [f + w / product.flop * p for f, w, p in zip(of["forward"], flop, of["product"], strict=True)]
    ours = list(benchmark.stats["data"])
    noted = note(
        benchmark,
        seconds=ours,
        limit_seconds=limits,
        limit=f"the forward passes alone and the products of blocks at the rate of {product.words}",
        replaced_seconds=[seconds * adapter.num_layers / len(PASSES_OF) for seconds in of["layers"]],
        replaced=f"a pass over the text for each layer, {len(PASSES_OF)} of {adapter.num_layers} timed",
        ratio_to_forward=sum(ours) / sum(of["forward"]),
        batches=len(text_batches),
        tokens=sum(tokens),
    )
    for layer, expected in full.items():
        found = sums[layer].result().matrix * sums[layer].count
        scale = expected.diagonal().sqrt()
        # both are float32 products, whose terms differ in order: √2048 · 2⁻²⁴ typically, some standard deviations
        assert float(((found - expected).abs() / scale[:, None] / scale).max()) < 1e-4
    assert noted.to_limit.value < LARGEST_RATIO

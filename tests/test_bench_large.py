"""What the benchmark of large models on a GPU does, with a tiny one on the CPU."""

from dataclasses import replace

import pytest
import torch
from checkout import ROOT

from ks_core.measurement.moments import blocks
from ks_core.measurement.moments.placing import Placing
from ks_core.measurement.moments.planning import plan_of_model

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="not run: no CUDA device here")

BATCH_TOKENS, LONGEST, COUNT = 128, 32, 3


@pytest.fixture
def large(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench" / "speed"))
    import large

    return large


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=CUDA)])
def test_batches_are_timed_and_summed_as_planned(large, tmp_path, device, short):
    model = large.drawn_model(large.TINY, device)
    assert (model.dtype, model.adapter.device.type, torch.get_default_dtype()) == ("bfloat16", device, torch.float32)
    plan = plan_of_model(model, 1024, (0, 1), batch_tokens=BATCH_TOKENS, longest=BATCH_TOKENS)
    plan = replace(plan, placing=Placing(2, short, mapped=short))
    found = large.taken(model, plan, count=COUNT, batch_tokens=BATCH_TOKENS, longest=LONGEST, home=tmp_path)
    assert len(found.seconds) == COUNT
    assert min(found.seconds) > 0 < found.limit.value
    assert "bfloat16" in found.words
    assert "float32" in found.words
    assert (found.peak > 0) == (device == "cuda")
    assert found.planned == sum(plan.device.values()) - plan.device["process" if device == "cpu" else "CUDA"]
    batches = large.drawn_batches(COUNT + 1, BATCH_TOKENS, LONGEST)
    keys = {0: [], 1: []}
    for batch in batches:
        ids = torch.tensor([piece.ids for piece in batch], device=device)
        model.adapter.read_keys(
            [0, 1], ids, torch.ones_like(ids), lambda layer, of: keys[layer].append(of.flatten(0, 1))
        )
    for layer, given in keys.items():
        rows = torch.cat(given).double()
        exact = rows.T @ rows
        scale = exact.diagonal().sqrt()
        strayed = (blocks.symmetric(found.sums[layer].packed()) - exact.cpu()).abs()
        # as the accumulators' bound says, of all keys between two flushes
        terms = BATCH_TOKENS * (COUNT + 1 if short else 1)
        assert float((strayed / scale.cpu()[:, None] / scale.cpu()).max()) <= (terms + 2) * 2.0**-24
        assert found.sums[layer].count == BATCH_TOKENS * (COUNT + 1)


def test_the_large_shape_is_that_of_eight_thousand_million_parameters(large):
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**large.LLAMA_3_8B, vocab_size=128_256))
    assert sum(parameter.numel() for parameter in model.parameters()) == 8_030_261_248

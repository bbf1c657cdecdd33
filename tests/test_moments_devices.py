"""Second moments on a GPU are those of the CPU; what is asked of a GPU is asked of the CPU too, wherever it can be."""

import gc
import warnings
from itertools import pairwise

import pytest
import torch
from checkout import MODELS
from measured import passes_of
from reference_statistics import statements_corpus
from transformers import LlamaConfig, LlamaForCausalLM

from ks_core.measurement.moments import blocks
from ks_core.measurement.moments.accumulator import FlushedAccumulator, SecondMomentAccumulator
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.measurement.moments.passes import accumulate
from ks_core.measurement.moments.plan import CUDA_CONTEXT
from ks_core.measurement.moments.planning import plan_of_model
from ks_core.measurement.moments.text import Piece, batches, take_tokens
from ks_core.models.loading import load_model
from ks_core.models.tiny import byte_level_tokenizer

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="not run: no CUDA device here")

UNIT = 2.0**-24
"""float32's rounding, of a number"""

TOKENS, BATCH_TOKENS, LONGEST = 4096, 1024, 128

FORWARD = {"float32": 1e-5, "bfloat16": 2.0**-5}
"""Of a neuron's root mean square over the text, how far the keys of two devices may be apart in the median neuron. In
float32 as in test_cuda. In bfloat16 each of some five roundings in each of three blocks is off by 2⁻⁹ at most, and by
another number where sums differ in order: √15 · 2⁻⁹ = 2⁻⁷ typically, four times that at the most."""


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=CUDA)])
def device(request):
    return request.param


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))


def scaled(difference, other):
    """The largest difference, in units of √(C_ii C_jj)."""
    scale = other.diagonal().clamp(min=1e-300).sqrt()
    return float((difference.abs() / scale[:, None] / scale).max())


class TestProducts:
    """Of the same keys, within the bound that is written at the accumulators."""

    D_KEY, BATCH = 640, 512

    @pytest.fixture
    def keys(self):
        keys = torch.randn(2048, self.D_KEY, generator=torch.Generator().manual_seed(0))
        keys *= torch.logspace(-2, 2, self.D_KEY)
        keys[::97] *= 300  # massive ones, which are multiplied in float64
        return keys

    @pytest.mark.parametrize("kind", ["float64 sums", "short sums", "mapped sums"])
    def test_sums_on_a_device_are_those_of_float64_within_their_bound(self, device, keys, kind, tmp_path):
        if kind == "float64 sums":
            found = SecondMomentAccumulator(self.D_KEY, device)
        else:
            found = FlushedAccumulator(self.D_KEY, device, home=tmp_path if kind == "mapped sums" else None)
        for batch in keys.to(device).split(self.BATCH):
            found.update(batch)
        exact = keys.double().T @ keys.double()
        # of a batch, or of all between two flushes; + 2 for what is left of second order
        terms = self.BATCH if kind == "float64 sums" else len(keys)
        assert scaled(blocks.symmetric(found.packed()) - exact, exact) <= (terms + 2) * UNIT
        again = SecondMomentAccumulator(self.D_KEY, device)
        again.resume(found.packed(), found.count)
        assert torch.equal(again.packed(), found.packed())
        assert again.sums[0].device.type == device


class Kept(SecondMomentAccumulator):
    """One that keeps the keys it was given, on the CPU."""

    def __init__(self, d_key, device="cpu"):
        super().__init__(d_key, device)
        self.given = []

    def update(self, keys):
        self.given.append(keys.double().cpu())
        super().update(keys)


def read(model, batch_tokens):
    """Sums of all layers over the text, with the keys they were made of."""
    texts = take_tokens(statements_corpus().texts(), model.tokenizer, TOKENS, LONGEST)
    sums = {layer: Kept(model.adapter.d_key, model.adapter.device) for layer in range(model.adapter.num_layers)}
    for batch in batches([Piece(ids, 0) for ids in texts], batch_tokens):
        accumulate(model, batch, sums)
    return sums


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["ks-gpt2-l3", "ks-neox-l3", "ks-llama-l3"])
def test_moments_differ_by_what_the_forward_passes_do(device, dtype, name):
    """|C_ij − C'_ij| ≤ (δ_i + δ_j + δ_i δ_j) √(C_ii C_jj), δ_i = ‖k_i − k'_i‖ / ‖k_i‖ of a neuron over all tokens.

    By Cauchy and Schwarz, exactly; and both sums stray by n · 2⁻²⁴ besides. On the CPU the other batches are smaller.
    """
    here, there = load_model(MODELS / name, dtype=dtype), load_model(MODELS / name, dtype=dtype, device=device)
    of_cpu, others = read(here, BATCH_TOKENS), read(there, BATCH_TOKENS if device == "cuda" else LONGEST)
    for layer, kept in of_cpu.items():
        keys, other_keys = (in_one_order(each.given) for each in (kept, others[layer]))
        delta = (keys - other_keys).norm(dim=0) / keys.norm(dim=0).clamp(min=1e-300)
        assert float(delta.median()) <= FORWARD[dtype]
        matrix, other = kept.result().matrix, others[layer].result().matrix
        scale = matrix.diagonal().clamp(min=1e-300).sqrt()
        apart = (matrix - other).abs() / scale[:, None] / scale
        at_most = delta[:, None] + delta + delta[:, None] * delta
        rounding = (BATCH_TOKENS + 2) * UNIT * (1 + (1 + delta[:, None]) * (1 + delta))
        assert bool((apart <= at_most + rounding).all())


def in_one_order(given):
    """Batches of any size hold the texts in one order, and a batch's keys are those of its texts one after another."""
    return torch.cat(given)


def checkpoint_of_half(folder, moments):
    """Leave what a run that was ended after half of the text leaves."""
    folder.mkdir()
    for layer in moments.layers:
        for count in moments.counts:
            if count <= moments.provenance.tokens // 2:
                path = moments.file(layer, count)
                (folder / path.relative_to(moments.folder)).parent.mkdir(parents=True, exist_ok=True)
                (folder / path.relative_to(moments.folder)).write_bytes(path.read_bytes())


@pytest.mark.parametrize("back", [False, True], ids=["from the CPU", "to the CPU"])
def test_a_collection_goes_on_on_another_device(device, back, tmp_path):
    models = [load_model(MODELS / "ks-llama-l3", device=each) for each in ("cpu", device)]
    first, then = reversed(models) if back else models
    whole = collect_second_moments(first, statements_corpus(), tokens=TOKENS, folder=tmp_path / "whole")
    checkpoint_of_half(tmp_path / "half", whole)

    def go_on():
        return collect_second_moments(then, statements_corpus(), tokens=TOKENS, folder=tmp_path / "half")

    found, passes = passes_of(then, go_on)
    _, of_all = passes_of(
        then, lambda: collect_second_moments(then, statements_corpus(), tokens=TOKENS, folder=tmp_path / "all")
    )
    assert 0 < passes < 0.75 * of_all
    for layer in whole.layers:
        expected = whole.at(layer).matrix
        # float32 forward passes of three layers, summed in another order, as in test_cuda
        assert float((found.at(layer).matrix - expected).abs().max()) <= 1e-5 * float(expected.abs().max())
        assert torch.equal(found.at(layer, TOKENS // 2).matrix, whole.at(layer, TOKENS // 2).matrix)


def test_where_memory_ran_out_the_sums_of_that_try_are_gone_before_the_next(device, tmp_path):
    """Held by the traceback of the failure, they would be on the device twice, and a smaller batch would not help."""
    model, seen = load_model(MODELS / "ks-llama-l3", device=device), []

    def fail_at_the_third(*_):
        seen.append(sum(type(each) is SecondMomentAccumulator for each in gc.get_objects()))
        if len(seen) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    gc.collect()
    hook = model.adapter.block(1).register_forward_pre_hook(fail_at_the_third)
    with pytest.warns(UserWarning, match="memory ran out"):
        collect_second_moments(model, statements_corpus(), tokens=TOKENS, batch_tokens=256, folder=tmp_path)
    hook.remove()
    assert seen == [model.adapter.num_layers] * len(seen)


class TestMemory:
    """A model whose sums are most of its memory: 21 MB each in float64, of weights of 6 MB."""

    D_KEY, LAYERS = 2048, 3

    @pytest.fixture
    def wide(self, device):
        config = LlamaConfig(
            hidden_size=64,
            intermediate_size=self.D_KEY,
            num_hidden_layers=self.LAYERS,
            num_attention_heads=2,
            vocab_size=512,
            max_position_embeddings=2048,
        )
        torch.manual_seed(0)
        return load_model(LlamaForCausalLM(config).eval().to(device), byte_level_tokenizer())

    def test_a_budget_is_kept_by_passes(self, device, wide, tmp_path, monkeypatch):
        monkeypatch.setattr("ks_core.measurement.moments.planning.resident_bytes", lambda: 10**9)  # what it is, moves
        layers, settings = tuple(range(self.LAYERS)), {"tokens": TOKENS, "batch_tokens": 512, "longest_text": LONGEST}
        free = plan_of_model(wide, TOKENS, layers, batch_tokens=512, longest=LONGEST)
        straight = collect_second_moments(wide, statements_corpus(), folder=tmp_path / "straight", **settings)
        one = blocks.numbers(self.D_KEY) * (4 if device == "cuda" else 8)
        budget = sum(free.device.values()) - free.device["sums"] + 5 * one // 2  # for two layers, and no third
        if device == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        in_passes, passes = passes_of(
            wide,
            lambda: collect_second_moments(
                wide, statements_corpus(), folder=tmp_path / "passes", memory=budget, **settings
            ),
        )
        peak = torch.cuda.max_memory_allocated() if device == "cuda" else 0
        plan = plan_of_model(wide, TOKENS, layers, batch_tokens=512, longest=LONGEST, memory=budget)
        assert len(plan.passes) >= 2
        assert plan.placing.short == (device == "cuda")
        assert passes % len(plan.passes) == 0
        # what CUDA itself takes is not torch's, but for the workspaces of cuBLAS: 32 MiB on the largest GPUs
        assert peak <= budget - CUDA_CONTEXT + (64 << 20) or device == "cpu"
        for layer in layers:
            matrix = straight.at(layer).matrix
            rounding = (TOKENS + 2) * UNIT if device == "cuda" else 0  # the same batches: the same bits, or short sums
            assert scaled(in_passes.at(layer).matrix - matrix, matrix) <= 2 * rounding

    @CUDA
    @pytest.mark.parametrize("device", ["cuda"], indirect=True)
    def test_where_a_gpu_really_has_no_room_batches_are_halved_once(self, wide, tmp_path):
        """Room for the peak of half the batch and not for that of the whole, both of them measured.

        The whole batch is an eighth of the text, which is the most that is read between two checkpoints.
        """
        tokens, corpus, peaks = 32_768, statements_corpus(), []
        for batch_tokens in (2048, 4096):
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            settings = {"tokens": tokens, "batch_tokens": batch_tokens, "longest_text": LONGEST}
            whole = collect_second_moments(wide, corpus, folder=tmp_path / str(batch_tokens), **settings)
            peaks.append(torch.cuda.max_memory_reserved())
        assert all(before < 0.9 * after for before, after in pairwise(peaks))
        gc.collect()
        torch.cuda.empty_cache()
        room = sum(peaks) / 2
        torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(0).total_memory)
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                found = collect_second_moments(wide, corpus, folder=tmp_path / "found", **settings)
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        assert [str(each.message).count("batches of 2,048 tokens") for each in said] == [1]
        matrix = whole.at(0).matrix
        # float32 products of batches of another size, and forward passes in batches of another size
        assert float((found.at(0).matrix - matrix).abs().max()) <= 1e-5 * float(matrix.abs().max())

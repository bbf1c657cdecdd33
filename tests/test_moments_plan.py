"""Plans of collections: as few passes as fit, within the memory there is, from the config alone."""

import pytest
import torch
from errors import refused
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import save_tiny_checkpoint
from transformers import AutoModelForCausalLM, LlamaConfig

from ks_core.errors import InputError, RankDeficientError
from ks_core.measurement.moments import blocks
from ks_core.measurement.moments.accumulator import FlushedAccumulator, SecondMomentAccumulator
from ks_core.measurement.moments.plan import Need, plan_moments
from ks_core.measurement.moments.planning import plan_by_name, plan_of_model
from ks_core.models.loading import load_model
from ks_core.models.shape import ModelShape, shape_by_name, shape_of

GB = 10**9

LLAMA_2_13B = {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40, "num_attention_heads": 40}
LLAMA_3_8B = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
}


def shape_like(name, config):
    with torch.device("meta"):
        return shape_of(AutoModelForCausalLM.from_config(LlamaConfig(**config)), name)


def need(shape, **changed):
    settings = {
        "tokens": 10**8,
        "layers": tuple(range(shape.layers)),
        "read_at_once": 8192,
        "dtype": "bfloat16",
        "kind": "cuda",
        "memory": 80 * GB,
        "host_memory": 64 * GB,
        "base": GB // 2,
    }
    return Need(**{**settings, **changed})


def test_a_13b_model_needs_one_pass_of_80_gb_and_more_of_40():
    shape = shape_like("13b", LLAMA_2_13B)
    assert shape.parameters == 13_015_864_320
    assert (shape.layers, shape.d_key, shape.d_value) == (40, 13824, 5120)
    large, small = (plan_moments(shape, need(shape, memory=size * GB)) for size in (80, 40))
    assert (len(large.passes), large.placing.short) == (1, False)
    assert (len(small.passes), small.placing.short) == (2, True)
    assert sum(small.device.values()) <= 40 * GB
    assert small.host["sums"] == 8 * blocks.numbers(13824) * 20


def test_a_13b_model_does_not_fit_into_24_gb_but_a_part_of_its_weights_does():
    shape = shape_like("13b", LLAMA_2_13B)
    with refused(InputError, what="24.00 GB", remedy="device_map"):
        plan_moments(shape, need(shape, memory=24 * GB))
    plan = plan_moments(shape, need(shape, memory=24 * GB, offload=True))
    assert sum(plan.device.values()) <= 24 * GB
    assert plan.device["weights"] >= 2 * shape.least


def test_sums_that_the_host_has_no_room_for_are_mapped_from_the_disk():
    shape = shape_like("8b", LLAMA_3_8B)
    plan = plan_moments(shape, need(shape, memory=40 * GB, host_memory=20 * GB))
    assert plan.placing.mapped
    assert plan.disk["mapped sums"] == 8 * blocks.numbers(14336) * 32
    assert "sums" not in plan.host


SHAPES = st.builds(
    ModelShape,
    name=st.just("drawn"),
    layers=st.integers(1, 48),
    d_key=st.integers(1, 4096),
    d_value=st.integers(1, 1024),
    context_length=st.just(1024),
    parameters=st.integers(10**5, 10**9),
    buffers=st.integers(0, 10**8),
    heads=st.integers(1, 32),
    scores=st.booleans(),
    below=st.just(()),
    least=st.just(10**5),
)


@given(SHAPES, st.sampled_from(["cpu", "cuda"]), st.integers(10**6, 2 * 10**10), st.booleans(), st.data())
def test_no_plan_takes_more_than_its_budget_or_more_passes_than_it_must(shape, kind, memory, offload, data):
    layers = tuple(sorted(data.draw(st.sets(st.integers(0, shape.layers - 1), min_size=1))))
    offload = offload and kind == "cuda"
    wanted = need(shape, layers=layers, kind=kind, memory=memory, offload=offload, read_at_once=512)
    try:
        plan = plan_moments(shape, wanted)
    except InputError as error:
        assert "too little for one layer" in str(error)  # noqa: PT017
        with_more = plan_moments(shape, need(shape, layers=layers, kind=kind, memory=None, read_at_once=512))
        assert sum(with_more.device.values()) > memory or len(layers) > 1
        return
    assert sum(plan.device.values()) <= memory
    assert sorted(layer for of in plan.passes for layer in of) == list(layers)
    assert max(map(len, plan.passes)) == plan.placing.at_once
    assert max(map(len, plan.passes)) - min(map(len, plan.passes)) < max(2, len(plan.passes))
    if len(plan.passes) > 1 and not offload:  # with one layer more a pass it would not fit, or save no pass
        more = plan.placing.at_once + 1
        fewer = -(-len(layers) // more) < len(plan.passes)
        one = blocks.numbers(shape.d_key) * (4 if plan.placing.short else 8)
        assert not fewer or sum(plan.device.values()) + one > memory


def test_eager_attention_has_the_scores_of_all_pairs_and_buffers_are_held():
    from ks_core.models.tiny import tiny_model

    eager, fused = (shape_of(tiny_model(family), family) for family in ("gpt_neo", "llama"))
    assert (eager.scores, fused.scores) == (True, False)
    assert eager.buffers > fused.buffers
    of_batch = [
        plan_moments(shape, need(shape, kind="cpu", memory=None, read_at_once=2048, longest=longest)).device["a batch"]
        for shape in (eager, fused)
        for longest in (1024, 2048)
    ]
    assert of_batch[1] - of_batch[0] >= 8 * 2048 * 1024 * eager.heads
    assert of_batch[3] - of_batch[2] >= 2048 * 1024


def test_weights_on_the_device_are_those_that_are_there_and_halves_need_full_rank(tmp_path):
    shape = shape_like("13b", LLAMA_2_13B)
    part = plan_moments(shape, need(shape, memory=24 * GB, weights=4 * GB))
    assert part.device["weights"] == 4 * GB
    assert sum(part.device.values()) <= 24 * GB
    with refused(RankDeficientError, what="8 tokens", expected="at least 24", remedy="ask for more"):
        plan_by_name(str(save_tiny_checkpoint(tmp_path / "model")), tokens=8)


def test_every_process_of_a_node_has_its_share_of_the_hosts_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("ks_core.measurement.moments.planning.host_memory", lambda: 10**7)
    folder = str(save_tiny_checkpoint(tmp_path / "model"))
    planned = []
    monkeypatch.setattr("ks_core.measurement.moments.planning.plan_moments", lambda _, need: planned.append(need))
    for processes in ("1", "4", "none"):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
        plan_by_name(folder, tokens=512, device="cuda")
    assert [need.host_memory for need in planned] == [5 * 10**6, 1_250_000, 5 * 10**6]


def test_bytes_of_sums_are_those_of_the_accumulators():
    shape = shape_like("8b", LLAMA_3_8B | {"intermediate_size": 96, "hidden_size": 64})
    plan = plan_moments(shape, need(shape, kind="cpu", memory=None))
    of_one = SecondMomentAccumulator(96)
    assert plan.device["sums"] == 32 * sum(block.nbytes for block in of_one.sums)
    short = FlushedAccumulator(96)
    assert sum(block.nbytes for block in short._short) == 4 * blocks.numbers(96)


def test_bytes_on_disk_are_those_of_the_files(tmp_path):
    from measured import write_text

    from ks_core.data.corpus import load_corpus
    from ks_core.measurement.moments.collecting import collect_second_moments

    model = load_model(save_tiny_checkpoint(tmp_path / "model"))
    plan = plan_of_model(model, 256, (0, 1), batch_tokens=64, longest=64)
    collect_second_moments(model, load_corpus(write_text(tmp_path / "t.txt")), tokens=256, folder=tmp_path / "moments")
    files = [path for path in (tmp_path / "moments").rglob("*") if path.is_file()]
    headers = sum(path.stat().st_size for path in files) - plan.disk["sums that stay"]
    assert 0 < headers < 4096 * len(files)


def test_a_plan_by_name_reads_the_config_alone_and_is_that_of_the_model(tmp_path):
    folder = save_tiny_checkpoint(tmp_path / "model", "gpt2")
    whole = shape_of(load_model(folder).model, str(folder))
    (folder / "model.safetensors").unlink()
    assert shape_by_name(str(folder)) == whole
    plan = plan_by_name(str(folder), tokens=512, device="cuda:3", memory=2 * GB, dtype="bfloat16")
    assert plan.passes == ((0, 1),)
    assert plan.device["weights"] == 2 * whole.parameters


def test_operations_are_those_of_the_blocks_up_to_the_last_layer_of_each_pass():
    shape = shape_like("8b", LLAMA_3_8B)
    whole = plan_moments(shape, need(shape))
    first = plan_moments(shape, need(shape, layers=(0, 1)))
    of_sums = 2 * blocks.numbers(14336)
    block = whole.shape.below[0]
    assert whole.operations == 10**8 * (2 * 32 * block + 32 * of_sums)
    assert first.operations == 10**8 * (2 * 2 * block + 2 * of_sums)
    assert first.seconds(1000) == pytest.approx(whole.seconds(1000) / 16)
    assert first.seconds(1000, first.passes[-1]) == pytest.approx(10**8 / 1000)  # a rate of its own pass


@pytest.mark.parametrize(
    ("asked", "what"),
    [({"dtype": "int8"}, "int8"), ({"device": "tpu"}, "tpu"), ({"layers": (7,)}, "layer 7"), ({"tokens": 0}, "tokens")],
)
def test_what_cannot_be_planned_is_refused(tmp_path, asked, what):
    with refused(InputError, what=what):
        plan_by_name(str(save_tiny_checkpoint(tmp_path / "model")), **asked)

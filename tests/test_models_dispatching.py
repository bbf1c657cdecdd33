"""A model that accelerate spreads over devices is the model that it is on one, and says where it cannot be used."""

import gc
from argparse import Namespace
from functools import partial

import pytest
import torch
from accelerate import cpu_offload
from accelerate.hooks import AlignDevicesHook, ModelHook, SequentialHook, add_hook_to_module
from errors import refused
from measured import write_facts
from tiny_models import byte_level_tokenizer, save_tiny_checkpoint, tiny_model

from ks_core.cli.arguments import loading
from ks_core.data.corpus import load_corpus
from ks_core.data.facts import load_facts
from ks_core.errors import InputError, StorageError
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.models.adapter import Adapter
from ks_core.models.editing import edited, promoted
from ks_core.models.fingerprint import modules_sha256, weights_sha256
from ks_core.models.loading import load_model
from ks_core.models.simulating import simulated

EMBEDDING = {"gpt2": "transformer.wte", "llama": "model.embed_tokens", "opt": "model.decoder.embed_tokens"}
BLOCKS = {"gpt2": "transformer.h", "llama": "model.layers", "opt": "model.decoder.layers"}
IDS = torch.arange(2, 12)[None]


@pytest.fixture(scope="module", params=BLOCKS)
def folder(request, tmp_path_factory):
    return save_tiny_checkpoint(tmp_path_factory.mktemp(request.param) / request.param, request.param)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return save_tiny_checkpoint(tmp_path_factory.mktemp("llama"), "llama")


def maps(kind):
    """Where parts go; GPT-2's and OPT's heads are their embeddings."""
    second, embedding = f"{BLOCKS[kind]}.1", EMBEDDING[kind]
    yield {"": "cpu", second: "disk"}
    yield {"": "disk"}
    yield {"": "disk", second: torch.device("cpu")}
    yield {"": "cpu", embedding: "disk", "lm_head": "cpu"}
    yield {"": "cpu", embedding: "cpu", "lm_head": "disk"}
    yield {"": "cpu"}


def logits(model):
    return model.adapter.logits(IDS, torch.ones_like(IDS))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("number", range(6))
def test_fingerprints_and_logits_are_those_of_the_model_on_one_device(folder, tmp_path, dtype, number):
    plain = load_model(folder, dtype=dtype)
    places = list(maps(folder.name))[number]
    spread = load_model(
        folder, dtype=dtype, device_map=places, offload_dir=tmp_path if "disk" in places.values() else None
    )
    assert spread.fingerprints == plain.fingerprints
    assert torch.equal(logits(spread), logits(plain))
    assert spread.fingerprints == plain.fingerprints, "a pass brings weights and takes them away again"
    assert (spread.adapter.d_key, spread.adapter.d_value) == (plain.adapter.d_key, plain.adapter.d_value)
    assert [spread.adapter.device, spread.adapter.layer_device(1)] == [torch.device("cpu")] * 2


def test_keys_and_second_moments_are_those_of_the_model_on_one_device(folder, tmp_path):
    plain = load_model(folder)
    spread = load_model(
        folder, device_map={"": "cpu", f"{BLOCKS[folder.name]}.1": "disk"}, offload_dir=tmp_path / "off"
    )
    facts = load_facts(write_facts(tmp_path / "facts.json"))
    for layer, keys in subject_keys(plain, facts).items():
        assert torch.equal(subject_keys(spread, facts)[layer], keys)
    text = tmp_path / "text.jsonl"
    text.write_text('{"text": "The tower is in Paris, and the bridge is not."}\n' * 40)
    found = [
        collect_second_moments(model, load_corpus(text), tokens=256, folder=tmp_path / name)
        for model, name in ((plain, "plain"), (spread, "spread"))
    ]
    for layer in range(2):
        assert torch.equal(found[0].at(layer).matrix, found[1].at(layer).matrix)
    assert found[0].provenance.fingerprints == found[1].provenance.fingerprints


def test_weights_kept_in_memory_beside_the_device_have_the_same_fingerprints(llama):
    """As on the CPU beside a GPU: here both are the CPU."""
    model = load_model(llama)
    before, said = model.fingerprints, logits(model)
    cpu_offload(model.model, execution_device=torch.device("cpu"))
    assert model.adapter.projection(0).weight.is_meta
    assert (model.fingerprints, torch.equal(logits(model), said)) == (before, True)


@pytest.mark.parametrize("way", ["auto", "balanced", "balanced_low_0", "sequential"])
def test_ways_by_name_spread_a_model_as_memory_allows(llama, tmp_path, way):
    plain = load_model(llama)
    size = sum(parameter.nbytes for parameter in plain.model.parameters())
    half = load_model(llama, device_map=way, max_memory={"cpu": size * 3 // 4}, offload_dir=tmp_path)
    there = [parameter.is_meta for parameter in half.model.parameters()]
    assert any(there), "some of it is on the disk"
    assert (half.fingerprints, torch.equal(logits(half), logits(plain))) == (plain.fingerprints, True)


def test_two_models_share_a_folder_for_the_disk_and_leave_it_empty(llama, tmp_path):
    """accelerate would take the weights that it finds there for the second one's."""
    other = save_tiny_checkpoint(tmp_path / "other", "llama", layers=3)
    models = [load_model(of, device_map={"": "disk"}, offload_dir=tmp_path / "off") for of in (llama, other)]
    assert [each.fingerprints for each in models] == [load_model(of).fingerprints for of in (llama, other)]
    assert len(list((tmp_path / "off").iterdir())) == 2
    del models
    gc.collect()
    assert list((tmp_path / "off").iterdir()) == []


def test_what_needs_an_offloaded_weight_is_refused_in_one_sentence(llama, tmp_path):
    adapter = load_model(llama, device_map={"": "cpu", "model.layers.1": "disk"}, offload_dir=tmp_path).adapter
    change = torch.ones(adapter.d_value, adapter.d_key)
    for use in (
        lambda: adapter.weight(1),
        lambda: adapter.bias(1),
        lambda: edited(adapter, 1, change).__enter__(),
        lambda: promoted(adapter, 1).__enter__(),
        lambda: simulated(adapter, {1: (change[:, :1], change[:1])}).__enter__(),
    ):
        with refused(
            InputError, what="the weight of layer 1", got="offloaded", expected="on a device", remedy="max_memory"
        ):
            use()
    before = adapter.weight(0).clone()
    with edited(adapter, 0, change):
        assert torch.equal(adapter.weight(0), before + 1)
    assert torch.equal(adapter.weight(0), before)


class _Doubling(ModelHook):
    def post_forward(self, _module, output):
        return 2 * output


@pytest.mark.parametrize(
    "hook", [_Doubling(), SequentialHook(AlignDevicesHook(), _Doubling())], ids=["of others", "of others among them"]
)
def test_hooks_that_do_more_than_place_are_refused(llama, hook):
    model = load_model(llama)
    add_hook_to_module(model.adapter.projection(1), hook)
    with refused(
        InputError, what="model.layers.1.mlp.down_proj", expected="a model that its weights", remedy="remove it"
    ):
        _ = model.fingerprints


def test_a_forward_under_that_of_accelerate_counts(llama):
    model = load_model(llama)
    projection = model.adapter.projection(1)
    projection.forward = partial(lambda x: x, 1)
    add_hook_to_module(projection, AlignDevicesHook("cpu"))
    with pytest.raises(InputError, match="cannot be told"):
        modules_sha256(model.model)


def test_a_tie_that_was_broken_is_seen_in_an_offloaded_model(tmp_path):
    folder = save_tiny_checkpoint(tmp_path / "gpt2", "gpt2")
    model = load_model(folder, device_map={"": "cpu", "transformer.wte": "disk"}, offload_dir=tmp_path / "off")
    before = model.weights_sha256
    model.model.lm_head.weight = torch.nn.Parameter(model.model.lm_head.weight.detach() + 1)
    assert weights_sha256(model.model) != before


BAD = {
    "an unknown way": ({"device_map": "evenly"}, "'evenly'"),
    "no map": ({"device_map": 3}, "is 3"),
    "an empty map": ({"device_map": {}}, "{}"),
    "a module that is not there": ({"device_map": {"": "cpu", "model.layers.9": "disk"}}, "model.layers.9"),
    "a forgotten module": ({"device_map": {"model": "cpu"}}, "says nothing of lm_head.weight"),
    "a divided block": ({"device_map": {"": "cpu", "model.layers.1.mlp": "disk"}}, "divides model.layers.1"),
    "a device that is not there": ({"device_map": {"": "cuda:77"}}, "cuda:77"),
    "the meta device": ({"device_map": {"": "meta"}}, "meta"),
    "no device": ({"device_map": {"": "tape"}}, "tape"),
    "nowhere to go": ({"device_map": {"": "disk"}}, "no offload_dir"),
    "memory of a map": ({"device_map": {"": "cpu"}, "max_memory": {"cpu": 1}}, "max_memory was given"),
    "memory of no size": ({"device_map": "auto", "max_memory": {"cpu": "much"}}, "much"),
    "memory of no device": ({"device_map": "auto", "max_memory": {"tape": "1GB"}}, "tape"),
    "memory that is no map": ({"device_map": "auto", "max_memory": 10}, "is 10"),
    "a device and a map": ({"device_map": "auto", "device": "cpu"}, "device was given with a device_map"),
    "memory alone": ({"max_memory": {"cpu": "1GB"}}, "max_memory was given with a model that goes to one device"),
    "a folder alone": ({"offload_dir": "x"}, "offload_dir was given with a model that goes to one device"),
}


@pytest.mark.parametrize("bad", BAD)
def test_bad_input_is_refused_in_one_sentence(llama, bad):
    options, got = BAD[bad]
    with refused(InputError, got=got, expected=""):
        load_model(llama, **options)


def test_a_folder_that_cannot_be_made_is_refused(llama, tmp_path):
    (tmp_path / "file").write_text("")
    with refused(InputError, what="offload_dir", expected="a folder", remedy="write to"):
        load_model(llama, device_map={"": "disk"}, offload_dir=tmp_path / "file" / "below")


def test_a_disk_without_room_is_refused_before_anything_is_written(llama, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: Namespace(free=10))
    with refused(StorageError, what="GB of weights", got="0.0 GB are free", expected="room", remedy="max_memory"):
        load_model(llama, device_map={"": "disk"}, offload_dir=tmp_path)


def test_a_map_means_nothing_for_a_model_in_memory():
    with refused(InputError, what="device_map", got="a model in memory"):
        load_model(tiny_model("gpt2"), byte_level_tokenizer(), device_map="auto")


@pytest.mark.parametrize("width", [8, 32])
def test_layers_of_different_widths_are_refused(width):
    model = tiny_model("llama")
    mlp = model.model.layers[1].mlp
    mlp.down_proj = torch.nn.Linear(width, mlp.down_proj.out_features, bias=False, dtype=torch.float64)
    first = model.model.layers[0].mlp.down_proj
    with refused(
        InputError,
        what="layer 1",
        got=(f"d_key {width}", f"layer 0 {first.out_features} and {first.in_features}"),
        expected="all layers of one width",
    ):
        Adapter(model)


def _options(**given):
    return Namespace(
        **{"revision": None, "device": "cpu", "dtype": "float32", "device_map": None, "offload_dir": None, **given}
    )


def test_options_of_commands_are_those_of_loading():
    assert loading(_options(device="cuda"))["device"] == "cuda"
    assert loading(_options(device_map="auto")) == {
        "revision": None, "device": None, "dtype": "float32", "device_map": "auto", "offload_dir": None,
    }  # fmt: skip
    with refused(InputError, what="--device", got=("'cuda'", "'auto'"), expected="one of them"):
        loading(_options(device="cuda", device_map="auto"))
    with refused(InputError, what="--offload-dir", expected="both or none"):
        loading(_options(offload_dir="x"))

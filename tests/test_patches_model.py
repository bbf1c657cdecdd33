"""Edits as a checkpoint: one tensor is another, rounded once, and every other byte is the source's."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from errors import refused
from patched import LAYER, MODELS, TRAINED, dense, same_up_to_rounding, snapshot, some_edits, tiny
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_models import save_tiny_checkpoint
from transformers import AutoModelForCausalLM

import ks_core as ks
from ks_core.errors import InputError
from ks_core.models import rewriting
from ks_core.patches.base import Base

FACTS = ks.load_facts()


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def saved(where, folder, facts=FACTS[:2]):
    model = ks.load_model(where)
    edits = some_edits(model, facts)
    ks.save_edits(edits, folder, "model")
    return model, edits


def bytes_by_tensor(path):
    """Of a safetensors file: its header as it is, and the bytes of each tensor."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    places = {name: of["data_offsets"] for name, of in header.items() if name != "__metadata__"}
    return raw[: 8 + length], {name: raw[8 + length + a : 8 + length + b] for name, (a, b) in places.items()}


OWN = {"edits.json", "edits.safetensors"}


@pytest.mark.parametrize("name", TRAINED)
def test_one_tensor_is_edited_and_all_else_is_byte_for_byte(tmp_path, name):
    source, target = MODELS / name, tmp_path / "edited"
    _, edits = saved(source, target)
    before, after = snapshot(source), snapshot(target)
    assert after.keys() == before.keys() | OWN
    assert [file for file in before if before[file] != after[file]] == ["model.safetensors"]
    (old_header, old), (new_header, new) = (bytes_by_tensor(place / "model.safetensors") for place in (source, target))
    assert old_header == new_header
    [changed] = [tensor for tensor in old if old[tensor] != new[tensor]]
    assert changed.endswith(f"{edits.base.projection(LAYER).removeprefix('transformer.')}.weight")
    with safe_open(source / "model.safetensors", "pt") as a, safe_open(target / "model.safetensors", "pt") as b:
        was, now = a.get_tensor(changed), b.get_tensor(changed)
    delta = dense(edits).T if edits.base.transposed else dense(edits)
    assert now.dtype == was.dtype
    assert torch.equal(now, (was.double() + delta).to(was.dtype)), "rounded more than once"


def test_the_edited_checkpoint_loads_as_the_edited_model(tmp_path):
    source = save_tiny_checkpoint(tmp_path / "source", layers=3)
    model, edits = saved(source, tmp_path / "edited")
    loaded = ks.load_model(tmp_path / "edited")
    with ks.applied(model, edits):
        assert loaded.fingerprints == model.fingerprints


def sharded(folder):
    save_tiny_checkpoint(folder, layers=3)
    model = AutoModelForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="4KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    return folder


def test_of_a_sharded_checkpoint_one_shard_is_edited(tmp_path):
    source = sharded(tmp_path / "source")
    model, edits = saved(source, tmp_path / "edited")
    before, after = snapshot(source), snapshot(tmp_path / "edited")
    [shard] = [file for file in before if before[file] != after[file]]
    index = json.loads(before["model.safetensors.index.json"])["weight_map"]
    assert shard == index[f"{edits.base.projection(LAYER)}.weight"]
    with ks.applied(model, edits):
        assert ks.load_model(tmp_path / "edited").weights_sha256 == model.weights_sha256


def test_weights_that_would_stay_unedited_are_left_out(tmp_path):
    source = save_tiny_checkpoint(tmp_path / "source", layers=3)
    for name in ("pytorch_model.bin", "flax_model.msgpack", "onnx/model.onnx", "consolidated.safetensors"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(b"weights")
    (source / "ks_core_manifest.json").write_text("{}")  # says what the files' hashes were
    (source / "templates").mkdir()
    (source / "templates" / "chat.jinja").write_text("{{ text }}")
    (source / ".git").mkdir()
    (source / ".git" / "config").write_text("[core]")
    saved(source, tmp_path / "edited")
    names = snapshot(tmp_path / "edited").keys()
    assert "templates/chat.jinja" in names
    assert names - OWN == {name for name in snapshot(source) if name[-4:] not in (".bin", "pack", "onnx")} - {
        "consolidated.safetensors",
        "ks_core_manifest.json",
        ".git/config",
    }


def test_a_model_goes_on_and_takes_back_from_its_base(tmp_path):
    source = save_tiny_checkpoint(tmp_path / "source", layers=3)
    model, edits = saved(source, tmp_path / "edited", FACTS[:3])
    one = ks.load_edits(tmp_path / "edited")[0]
    same_up_to_rounding(one, edits)
    ks.undo_edits(tmp_path / "edited", [FACTS[0].case_id])
    ks.append_edits(model, FACTS[0:1], tmp_path / "edited")
    [now] = ks.load_edits(tmp_path / "edited")
    weight = load_file(tmp_path / "edited" / "model.safetensors")[f"{edits.base.projection(LAYER)}.weight"]
    assert torch.equal(weight, (model.adapter.weight(LAYER).double() + dense(now)).float())


def pickled(folder):
    save_tiny_checkpoint(folder, layers=3)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def test_pickled_weights_are_refused(tmp_path):
    source = pickled(tmp_path / "source")
    with refused(InputError, what="pytorch_model.bin, a pickle", expected="safetensors", remedy="save_pretrained"):
        saved(source, tmp_path / "edited")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_base_that_changed_since_is_refused(tmp_path):
    source = save_tiny_checkpoint(tmp_path / "source", layers=3)
    edits = some_edits(ks.load_model(source), FACTS[:2])
    tensors = load_file(source / "model.safetensors")
    tensors[f"{edits.base.projection(LAYER)}.weight"][0, 0] += 1e-3
    save_file(tensors, source / "model.safetensors", {"format": "pt"})
    with refused(InputError, what="has another weight than", expected="as it was", remedy="make the edits anew"):
        ks.save_edits(edits, tmp_path / "edited", "model")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_weight_that_is_out_of_range_is_refused(tmp_path):
    source = save_tiny_checkpoint(tmp_path / "source", layers=3, dtype=torch.float16)
    edits = some_edits(ks.load_model(source), FACTS[:2])
    huge = replace(edits.edit, left=edits.edit.left * 1e9)
    with refused(InputError, what="leaves the range of torch.float16", expected="finite", remedy="a wider dtype"):
        ks.save_edits(replace(edits, edit=huge), tmp_path / "edited", "model")


def test_a_model_in_memory_has_no_checkpoint_to_write(tmp_path):
    edits = some_edits(tiny(), FACTS[:2])
    nowhere = replace(edits, base=replace(edits.base, name="Llama For Causal LM"))
    with refused(InputError, what="is no folder and no hub id"):
        ks.save_edits(nowhere, tmp_path / "edited", "model")
    assert list(tmp_path.iterdir()) == []


def test_the_source_cannot_be_written_into(tmp_path):
    source = save_tiny_checkpoint(tmp_path / "source", layers=3)
    before = snapshot(source)
    for folder, what in ((source, "exists"), (source / "edited", "lies inside the model that is edited")):
        with refused(InputError, what=what, expected="a"):
            saved(source, folder)
    assert snapshot(source) == before


def test_a_weight_that_two_modules_share_is_refused():
    model = tiny().model
    rewriting.refuse_shared(model, "model.layers.1.mlp.down_proj", "here")
    model.model.layers[2].mlp.down_proj.weight = model.model.layers[1].mlp.down_proj.weight
    with refused(InputError, what="model.layers.1.mlp.down_proj.weight and model.layers.2", expected="of its own"):
        rewriting.refuse_shared(model, "model.layers.1.mlp.down_proj", "here")


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_model_of_the_hub_is_written_from_its_commit(tmp_path, monkeypatch):
    """As the hub's cache keeps it: files of a commit are links to blobs."""
    repository, made = tmp_path / "hub" / "models--someone--tiny", save_tiny_checkpoint(tmp_path / "made", layers=3)
    snapshots, blobs = repository / "snapshots" / COMMIT, repository / "blobs"
    for folder in (snapshots, blobs, repository / "refs"):
        folder.mkdir(parents=True)
    for path in made.iterdir():
        path.rename(blobs / path.name)
        (snapshots / path.name).symlink_to(blobs / path.name)
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    before = snapshot(snapshots)
    model, edits = saved("someone/tiny", tmp_path / "edited")
    assert (edits.base.name, edits.base.commit) == ("someone/tiny", COMMIT)
    after = snapshot(tmp_path / "edited")
    assert after.keys() == before.keys() | OWN
    assert [name for name in before if before[name] != after[name]] == ["model.safetensors"]
    assert not any(path.is_symlink() for path in (tmp_path / "edited").iterdir())
    assert snapshot(snapshots) == before, "the cache of the hub was written to"
    with ks.applied(model, edits):
        assert ks.load_model(tmp_path / "edited").weights_sha256 == model.weights_sha256
    ks.save_edits(edits, tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("someone/tiny", COMMIT)


def test_a_base_is_found_again_by_its_name(tmp_path, monkeypatch):
    save_tiny_checkpoint(tmp_path / "source", layers=3)
    monkeypatch.chdir(tmp_path)
    base = Base.of(ks.load_model("source"))
    assert (base.name, base.location, base.commit) == (str(tmp_path / "source"), str(tmp_path / "source"), None)

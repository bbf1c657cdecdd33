"""Checkpoint files: which are read, and that pickles give tensors and nothing else."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from checkpoints import rewritten
from errors import refused
from safetensors.torch import load_file, save_file
from tiny_models import byte_level_tokenizer, save_tiny_checkpoint, tiny_model

from ks_core.errors import InputError
from ks_core.models.checkpoint import stored_tensors
from ks_core.models.loading import load_model
from ks_core.models.sources import Source


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("gptj"), "gptj", dtype=torch.float16)


@pytest.fixture
def pickled(checkpoint, tmp_path) -> Path:
    """The folder without its weights; tests write `pytorch_model.bin` or an index into it."""
    return rewritten(checkpoint, tmp_path / "pickled", model_safetensors=None)


@pytest.fixture
def weights(checkpoint) -> dict[str, torch.Tensor]:
    return load_file(checkpoint / "model.safetensors")


def write_index(folder: Path, weight_map: object, kind: str = "pytorch_model.bin") -> None:
    (folder / f"{kind}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_load_model_reads_pickled_tensors_as_it_reads_safetensors(checkpoint, pickled, weights, zipped):
    torch.save(OrderedDict(weights), pickled / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    for dtype in ("float32", "float16"):
        assert load_model(pickled, dtype=dtype).weights_sha256 == load_model(checkpoint, dtype=dtype).weights_sha256


def test_load_model_reads_pickled_shards(checkpoint, pickled, weights):
    files = {name: f"pytorch_model-0000{i % 3}-of-3.bin" for i, name in enumerate(weights)}
    for file in set(files.values()):
        torch.save({name: weights[name] for name in weights if files[name] == file}, pickled / file)
    write_index(pickled, files)
    assert load_model(pickled).weights_sha256 == load_model(checkpoint).weights_sha256


def test_load_model_reads_a_state_dict_as_torch_saves_it(pickled, checkpoint):
    torch.save(tiny_model("gptj", dtype=torch.float16).state_dict(), pickled / "pytorch_model.bin")
    assert load_model(pickled).weights_sha256 == load_model(checkpoint).weights_sha256


def test_load_model_takes_safetensors_before_pickled_weights(checkpoint, tmp_path):
    folder = rewritten(checkpoint, tmp_path / "both")
    torch.save({"not": "weights"}, folder / "pytorch_model.bin")
    assert load_model(folder).weights_sha256 == load_model(checkpoint).weights_sha256


class _Command:
    """Unpickled without care it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_load_model_never_runs_code_of_a_pickle(pickled, weights, tmp_path, zipped):
    content = weights | {"code": _Command(tmp_path / "ran")}
    torch.save(content, pickled / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    with refused(InputError, what="tensors and nothing else", got="posix.mkdir", remedy="save_pretrained"):
        load_model(pickled)
    assert not (tmp_path / "ran").exists()
    torch.load(pickled / "pytorch_model.bin", weights_only=False)  # the trap is live
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda weights: weights | {"step": 3}, "type int as 'step'; expected dense tensors"),
        (lambda weights: {"state_dict": weights}, "as 'state_dict'; expected dense .* the state_dict alone"),
        (lambda weights: weights | {7: torch.ones(2)}, "as 7; expected dense tensors by name"),
        (lambda weights: list(weights.values()), "holds a list; expected a dictionary"),
        (lambda weights: weights["lm_head.weight"], "holds a Tensor; expected a dictionary"),
        (lambda weights: weights | {"lm_head.weight": torch.eye(8).to_sparse()}, "layout torch.sparse_coo .* as"),
        (lambda weights: weights | {"lm_head.weight": torch.ones(2, device="meta")}, "device meta as 'lm_head.weight'"),
    ],
    ids=["number", "nested", "numbered", "list", "tensor", "sparse", "meta"],
)
def test_stored_tensors_refuses_a_pickle_of_other_things(pickled, weights, content, message):
    torch.save(content(weights), pickled / "pytorch_model.bin")
    with pytest.raises(InputError, match=message) as caught:
        stored_tensors(Source(str(pickled), None, None))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "damage",
    [lambda raw: raw[:-100], lambda raw: raw[:9], lambda raw: raw[:0], lambda raw: b"no pickle" + raw],
    ids=["cut", "stub", "empty", "prefix"],
)
def test_stored_tensors_refuses_a_damaged_pickle(pickled, weights, damage):
    torch.save(weights, pickled / "pytorch_model.bin")
    (pickled / "pytorch_model.bin").write_bytes(damage((pickled / "pytorch_model.bin").read_bytes()))
    with pytest.raises(InputError, match=r"cannot be loaded|damaged") as caught:
        stored_tensors(Source(str(pickled), None, None))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"a": "../pytorch_model.bin"}, r"'\.\./pytorch_model\.bin'; expected a weights file"),
        ({"a": "/etc/passwd"}, "names '/etc/passwd'"),
        ({"a": "model.safetensors"}, r"names 'model\.safetensors'"),
        ({"a": 5}, "names 5"),
        ({"a": "pytorch_model-1.bin"}, r"lacks pytorch_model-1\.bin"),
        ({}, "has no weight_map"),
        (["a"], "has no weight_map"),
    ],
    ids=str,
)
def test_stored_tensors_refuses_an_index_of_other_files(pickled, weight_map, message):
    write_index(pickled, weight_map)
    with pytest.raises(InputError, match=message):
        stored_tensors(Source(str(pickled), None, None))


def test_stored_tensors_refuses_a_tensor_in_two_files(pickled, weights):
    for file in ("model-1.safetensors", "model-2.safetensors"):
        save_file({"lm_head.weight": weights["lm_head.weight"]}, pickled / file)
    write_index(pickled, {"lm_head.weight": "model-1.safetensors", "b": "model-2.safetensors"}, "model.safetensors")
    with pytest.raises(InputError, match=r"holds lm_head\.weight in two files"):
        stored_tensors(Source(str(pickled), None, None))


def test_load_model_refuses_two_sets_of_weights_in_one_folder(checkpoint, tmp_path):
    folder = rewritten(checkpoint, tmp_path / "two")
    write_index(folder, {"lm_head.weight": "model-00001-of-00002.safetensors"}, "model.safetensors")
    with refused(InputError, got=("model.safetensors", "model.safetensors.index.json", "other weights")):
        load_model(folder)


def test_load_model_takes_an_index_of_the_one_file_there_is(checkpoint, tmp_path, weights):
    folder = rewritten(checkpoint, tmp_path / "one")
    write_index(folder, dict.fromkeys(weights, "model.safetensors"), "model.safetensors")
    assert load_model(folder).weights_sha256 == load_model(checkpoint).weights_sha256


def test_stored_tensors_gives_names_shapes_and_types_of_a_file(checkpoint, weights):
    found = stored_tensors(Source(str(checkpoint), None, None))
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in found.items()} == {
        name: (tuple(tensor.shape), "float16") for name, tensor in weights.items()
    }
    assert all(torch.equal(found[name].content[...], tensor) for name, tensor in weights.items())


def test_load_model_refuses_the_weights_of_another_architecture(checkpoint, tmp_path):
    folder = tmp_path / "other"
    tiny_model("llama", dtype=torch.float32).save_pretrained(folder)
    byte_level_tokenizer().save_pretrained(folder)
    rewritten(checkpoint, tmp_path / "mixed", model_safetensors=(folder / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match="GPTJForCausalLM has no place for"):
        load_model(tmp_path / "mixed")

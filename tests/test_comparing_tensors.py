"""Which tensors differ: two checkpoints compared on disk, as they are stored, in every way that they can be stored."""

import json
import shutil

import pytest
import torch
from edited_models import base_of, changed, fine_tuned
from errors import refused
from safetensors.torch import load_file, save_file
from tiny_models import save_tiny_checkpoint, sentencepiece_tokenizer

from ks_core.comparing import tensors as tensors_module
from ks_core.comparing.diff import diff
from ks_core.comparing.tensors import changes, pairs_of
from ks_core.errors import InputError
from ks_core.models.parameters import stored_model

DOWN = "model.layers.1.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return base_of(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def tuned(base):
    return changed(base, base.parent / "tuned", fine_tuned)


def one_entry(model):
    model.get_parameter(DOWN).data[2, 3] += 0.5


def found(base, edited):
    return diff(base, edited).changes


def test_a_model_does_not_differ_from_itself(base):
    result = diff(base, base)
    assert (result.changes, result.settings_differ, result.tokenizers_differ) == ((), False, False)
    assert result.compared == len(load_file(base / "model.safetensors"))


def test_one_entry_is_one_tensor_of_its_layer_and_of_rank_one(base, tmp_path):
    result = diff(base, changed(base, tmp_path / "edited", one_entry))
    [of] = result.changes
    assert (of.name, of.layer, of.changed, result.ranks) == (DOWN, 1, 1, {DOWN: 1})
    assert of.norm == pytest.approx(0.5, rel=1e-6)
    weight = load_file(base / "model.safetensors")[DOWN].double()
    assert of.growth == pytest.approx(0.5 / float(weight.norm()), rel=1e-6)


def test_a_fine_tuned_model_differs_everywhere_most_changed_first(base, tuned):
    result = diff(base, tuned)
    assert {of.layer for of in result.changes} == {None, 0, 1, 2}
    assert len(result.changed) > 0.9 * result.compared
    growths = [of.growth for of in result.changes]
    assert growths == sorted(growths, reverse=True)
    before, after = (load_file(folder / "model.safetensors") for folder in (base, tuned))
    for of in result.changes:
        delta = after[of.name].double() - before[of.name].double()
        assert of.norm == pytest.approx(float(delta.norm()))
        assert of.changed == int(delta.count_nonzero())
    matrices = [of for of in result.changes if len(of.shape) == 2]
    assert len(result.ranks) == min(len(matrices), 5)


def test_an_edit_that_is_stored_wider_than_its_base_is_no_rounding(base, tmp_path):
    """Tools load a bfloat16 base in float32, edit it, and save it so: widened, nothing but the edit differs."""
    half = changed(base, tmp_path / "half", lambda model: model.to(torch.bfloat16))
    wider = changed(half, tmp_path / "wider", lambda _: None)

    def slightly(model):
        weight = model.get_parameter(DOWN).data
        weight += 0.9 * 2**-9 * weight.abs()  # less than half of a bfloat16 step: rounded back, it would be gone

    assert diff(half, wider).changed == ()
    result = diff(half, changed(half, tmp_path / "edited", slightly))
    assert [of.name for of in result.changed] == [DOWN]
    assert len(result.complaints(only_layers=[0])) == 1
    assert diff(wider, half).changed == (), "the other way round it is rounding"


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_changed_settings_and_tokenizers_are_of_no_layer(base, tmp_path, file):
    other = shutil.copytree(base, tmp_path / "other")
    content = (other / file).read_text()
    after = content.replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 0.5') if file == "config.json" else None
    if after is None:
        sentencepiece_tokenizer().save_pretrained(other)
    else:
        (other / file).write_text(after)
    assert (other / file).read_text() != content
    result = diff(base, other)
    assert result.changed == ()
    [said] = result.complaints(only_layers=[1])
    assert ("settings" if after else "tokenizers") in said
    assert result.complaints() == []


def test_blocks_change_nothing(base, tuned, monkeypatch):
    whole = found(base, tuned)
    monkeypatch.setattr(tensors_module, "BLOCK", 20)
    for of, again in zip(whole, found(base, tuned), strict=True):
        assert (of.name, of.changed) == (again.name, again.changed)
        assert again.norm == pytest.approx(of.norm)


def test_shards_and_other_names_are_the_same_model(base, tmp_path):
    shards = changed(base, tmp_path / "shards", lambda _: None, max_shard_size="5KB")
    assert len(list(shards.glob("*.safetensors"))) > 1
    assert found(base, shards) == ()
    assert [of.name for of in found(shards, changed(base, tmp_path / "edited", one_entry))] == [DOWN]


def test_a_coarser_dtype_is_rounding_and_an_edit_in_it_is_not(base, tmp_path):
    half = changed(base, tmp_path / "half", lambda model: model.to(torch.bfloat16))
    result = diff(base, half)
    assert len(result.changes) > 10
    assert result.changed == ()
    assert len(diff(half, base).changed) > 10, "a base in bfloat16 is no rounding of what is wider: that may be edited"
    assert result.complaints(only_layers=[0]) == []
    edited = changed(base, tmp_path / "edited", lambda model: (one_entry(model), model.to(torch.bfloat16)))
    [of] = diff(base, edited).changed
    assert (of.name, of.dtypes) == (DOWN, ("float32", "bfloat16"))


def test_a_head_that_is_tied_is_compared_with_one_that_is_not(tmp_path):
    tied = save_tiny_checkpoint(tmp_path / "tied", "gpt2")
    untied = tmp_path / "untied"
    untied.mkdir()
    for path in tied.iterdir():
        (untied / path.name).write_bytes(path.read_bytes())
    weights = load_file(tied / "model.safetensors")
    head = weights["transformer.wte.weight"].clone()
    head[0, 0] += 1
    save_file(weights | {"lm_head.weight": head}, untied / "model.safetensors", {"format": "pt"})
    settings = json.loads((untied / "config.json").read_text())
    (untied / "config.json").write_text(json.dumps(settings | {"tie_word_embeddings": False}))
    result = diff(tied, untied)
    assert [(of.name, of.changed) for of in result.changes] == [("lm_head.weight", 1)]
    assert result.settings_differ


def test_the_lazy_pairs_read_no_numbers(base):
    stored = stored_model(str(base))
    assert not any(isinstance(pair.before.content, torch.Tensor) for pair in pairs_of(stored, stored))
    assert list(changes(pairs_of(stored, stored), stored)) == []


def test_other_architectures_are_refused(base, tmp_path):
    gpt2 = save_tiny_checkpoint(tmp_path / "gpt2", "gpt2")
    with refused(InputError, what=base.name, got=("'llama'", "'gpt2'"), expected="two checkpoints of one architecture"):
        diff(base, gpt2)
    shorter = base_of(tmp_path / "short", layers=2)
    with refused(InputError, what="model.layers.2", got="not in both", expected="two checkpoints of one architecture"):
        diff(base, shorter)
    wider = changed(base, tmp_path / "wide", lambda model: model.resize_token_embeddings(520, mean_resizing=False))
    with refused(InputError, what="has shapes", got=("(512, 8)", "(520, 8)"), expected="two checkpoints"):
        diff(base, wider)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(base, tmp_path, bad):
    edited = changed(base, tmp_path / "edited", lambda model: model.get_parameter(DOWN).data[0].fill_(bad))
    with refused(InputError, what=DOWN, got="the second model holds 12 NaN or infinite", expected="finite weights"):
        diff(base, edited)


def test_incomplete_and_missing_models_are_refused(base, tmp_path):
    lacking = changed(base, tmp_path / "lacking", lambda _: None)
    tensors = load_file(lacking / "model.safetensors")
    tensors.pop(DOWN)
    save_file(tensors, lacking / "model.safetensors", {"format": "pt"})
    with refused(InputError, what=str(lacking), got=DOWN, expected="a complete checkpoint"):
        diff(base, lacking)
    with refused(InputError, what="no such folder", expected="one of these"):
        diff(base, "no such folder")

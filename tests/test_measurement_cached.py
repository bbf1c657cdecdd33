"""Target values in the cache: as searched, resumed after an interrupt, refused when they are of something else."""

import json
import struct
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from changed_models import CHANGES, ONE_OF_EACH
from errors import refused
from measured import passes_of, write_facts
from safetensors import safe_open
from safetensors.torch import save_file
from tiny_models import dropping_tokenizer, save_tiny_checkpoint

from ks_core.data.facts import load_facts
from ks_core.errors import InputError, ProvenanceError
from ks_core.files import cache_dir
from ks_core.measurement.cached_values import FORMAT, cached_target_values
from ks_core.measurement.values import TargetValues, ValueSettings, target_values
from ks_core.models.loading import load_model

SETTINGS = ValueSettings(steps=2)
PASSES_OF_A_BATCH = 2 + SETTINGS.steps + 1
"""of the model: its keys, what stands before the subjects, and the rest before each step and after the last"""
AT_ONCE = 16
"""Edits of a batch here, so that a few facts are several."""
BATCHES = 3
NAMES = tuple(field.name for field in fields(TargetValues))


@pytest.fixture(scope="module", params=["gpt2", "gpt_neox", "llama"])
def model(request, tmp_path_factory):
    return load_model(save_tiny_checkpoint(tmp_path_factory.mktemp(request.param), request.param))


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    facts = load_facts(write_facts(tmp_path_factory.mktemp("facts") / "facts.json", 40)).facts
    assert (BATCHES - 1) * AT_ONCE < len(facts) < BATCHES * AT_ONCE, "the last batch should be a part"
    return facts


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))
    for module in ("values", "cached_values"):
        monkeypatch.setattr(f"ks_core.measurement.{module}.EDITS_AT_ONCE", AT_ONCE)


def cached_files():
    return sorted((cache_dir() / "values").glob("*"))


def assert_same_bytes(found, expected):
    for name in NAMES:
        one, other = getattr(found, name), getattr(expected, name)
        assert one.dtype == other.dtype
        assert torch.equal(one, other), name


def searched(model, facts):
    """What no cache has touched, searched in the batches that are cached: in another batch each value is the same in
    mathematics and another in its last digits, since the order of a product's sums goes by its shape and processor."""
    batches = [facts[start : start + AT_ONCE] for start in range(0, len(facts), AT_ONCE)]
    found = [target_values(model, batch, 0, SETTINGS) for batch in batches]
    return TargetValues(*(torch.cat([getattr(part, name) for part in found]) for name in NAMES))


def test_cached_values_are_those_that_are_searched(model, facts):
    cached = cached_target_values(model, facts, 0, SETTINGS)
    assert_same_bytes(cached, searched(model, facts))
    assert len(cached_files()) == BATCHES


def test_a_second_call_takes_them_from_the_cache_without_a_forward_pass(model, facts):
    first, passes = passes_of(model, lambda: cached_target_values(model, facts, 0, SETTINGS))
    assert passes == BATCHES * PASSES_OF_A_BATCH
    second, passes = passes_of(model, lambda: cached_target_values(model, facts, 0, SETTINGS))
    assert passes == 0
    assert_same_bytes(second, first)


def test_the_settings_that_are_left_unsaid_are_the_same_as_the_default_ones(model, facts):
    some = facts[:2]
    cached_target_values(model, some, 0)
    _, passes = passes_of(model, lambda: cached_target_values(model, some, 0, ValueSettings()))
    assert passes == 0


@pytest.mark.parametrize("interrupted_in", range(BATCHES))
def test_an_interrupted_search_goes_on_where_it_was(model, facts, interrupted_in):
    straight = searched(model, facts)
    passes = []

    def interrupt(*_):
        passes.append(1)
        if len(passes) == interrupted_in * PASSES_OF_A_BATCH + 2:  # in the middle of a batch
            raise KeyboardInterrupt

    hook = model.adapter.backbone.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        cached_target_values(model, facts, 0, SETTINGS)
    hook.remove()
    assert len(cached_files()) == interrupted_in
    assert all(path.suffix == ".safetensors" for path in cached_files()), "half-written files were left"
    before = {path: path.stat().st_mtime_ns for path in cached_files()}
    resumed, count = passes_of(model, lambda: cached_target_values(model, facts, 0, SETTINGS))
    assert count == (BATCHES - interrupted_in) * PASSES_OF_A_BATCH
    assert_same_bytes(resumed, straight)
    assert {path: path.stat().st_mtime_ns for path in before} == before, "a finished batch was written again"


def test_a_longer_list_of_edits_takes_its_whole_batches_from_the_cache(model, facts):
    cached_target_values(model, facts[: 2 * AT_ONCE], 0, SETTINGS)
    found, passes = passes_of(model, lambda: cached_target_values(model, facts, 0, SETTINGS))
    assert passes == PASSES_OF_A_BATCH
    assert_same_bytes(found, searched(model, facts))


CHANGED = {
    "layer": lambda model, some: (model, some, 1, SETTINGS),
    **{
        field.name: lambda model, some, name=field.name: (
            model,
            some,
            0,
            replace(SETTINGS, **{name: ("Apple.",) if name == "prefixes" else getattr(SETTINGS, name) / 2 + 0.1}),
        )
        for field in fields(ValueSettings)
        if field.name != "steps"
    },
    "steps": lambda model, some: (model, some, 0, replace(SETTINGS, steps=1)),
    "order": lambda model, some: (model, some[::-1], 0, SETTINGS),
    "number": lambda model, some: (model, some[:2], 0, SETTINGS),
    **{
        name: lambda model, some, name=name: (
            model,
            [replace(some[0], **{name: "{} is near" if name == "prompt" else "Apple"}), *some[1:]],
            0,
            SETTINGS,
        )
        for name in ("prompt", "subject", "target_new")
    },
    "dtype": lambda model, some: (load_model(model.name, dtype="float64"), some, 0, SETTINGS),
    **{
        f"model: {name}": lambda model, some, name=name: (changed(model, name), some, 0, SETTINGS)
        for name in ONE_OF_EACH
    },
}


def changed(model, how):
    """The same model loaded again, and changed afterwards."""
    other = load_model(model.name)
    CHANGES[how](other)
    return other


@pytest.mark.parametrize("what", CHANGED)
def test_what_is_searched_otherwise_is_cached_elsewhere(model, facts, what):
    some = facts[:3]
    cached_target_values(model, some, 0, SETTINGS)
    (first,) = cached_files()
    before = first.read_bytes()
    arguments = CHANGED[what](model, some)
    other, passes = passes_of(arguments[0], lambda: cached_target_values(*arguments))
    assert passes > 0
    assert len(cached_files()) == 2
    assert first.read_bytes() == before
    assert_same_bytes(other, target_values(*arguments))


@pytest.mark.parametrize("what", ["case_id", "target_true", "relation_id", "paraphrase_prompts"])
def test_what_makes_no_difference_to_the_search_shares_the_file(model, facts, what):
    some = facts[:3]
    cached_target_values(model, some, 0, SETTINGS)
    value = {"case_id": 99, "paraphrase_prompts": ()}.get(what, "another")
    others = [replace(some[0], **{what: value}), *some[1:]]
    _, passes = passes_of(model, lambda: cached_target_values(model, others, 0, SETTINGS))
    assert passes == 0


@pytest.fixture
def cached(model, facts):
    """A function that asks again, and the file that it reads."""

    def ask():
        return cached_target_values(model, facts[:3], 0, SETTINGS)

    ask()
    (path,) = cached_files()
    return ask, path


@pytest.mark.parametrize("size", [0, 4, 100, -1])
def test_a_truncated_file_is_refused_by_name_and_left_alone(cached, size):
    ask, path = cached
    part = path.read_bytes()[:size]
    path.write_bytes(part)
    with pytest.raises(ProvenanceError, match=rf"{path.name} is truncated or damaged \(.*remove it"):
        ask()
    assert path.read_bytes() == part


@pytest.mark.parametrize("content", [b"not a safetensors file at all", b"\x80\x04N.", b'{"values": [1.0]}'])
def test_a_file_of_another_format_is_refused_by_name(cached, content):
    ask, path = cached
    path.write_bytes(content)
    with pytest.raises(ProvenanceError, match=rf"{path.name} is truncated or damaged"):
        ask()


def test_a_file_of_other_edits_under_this_name_is_refused(cached, model, facts):
    ask, path = cached
    cached_target_values(model, facts[3:6], 0, SETTINGS)
    (other,) = (file for file in cached_files() if file != path)
    path.write_bytes(other.read_bytes())
    with refused(ProvenanceError, what=path.name, got="other edits", remedy="remove it"):
        ask()


@pytest.mark.parametrize("mark", [None, "", "ks_core/target-values/0"])
def test_a_file_of_another_version_is_refused(cached, mark):
    ask, path = cached
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in NAMES}
        said = file.metadata()[FORMAT]
    save_file(tensors, path, None if mark is None else {mark: said})
    with refused(ProvenanceError, what=path.name, expected=FORMAT, remedy="remove it"):
        ask()


@pytest.mark.parametrize("name", NAMES)
def test_a_file_without_one_of_its_tensors_is_refused(cached, name):
    ask, path = cached
    with safe_open(path, framework="pt") as file:
        tensors = {other: file.get_tensor(other) for other in NAMES if other != name}
        metadata = file.metadata()
    save_file(tensors, path, metadata)
    with pytest.raises(ProvenanceError, match=path.name):
        ask()


def test_a_file_that_was_removed_is_made_again_to_the_same_bytes(cached):
    ask, path = cached
    before = path.read_bytes()
    path.unlink()
    ask()
    assert path.read_bytes() == before


def test_a_file_is_a_header_of_json_and_the_plain_numbers_and_no_pickle(cached):
    """Read by the format's description alone: eight bytes of length, a header, and the tensors without gaps."""
    ask, path = cached
    found, content = ask(), path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, numbers = json.loads(content[8 : 8 + length]), content[8 + length :]
    about = json.loads(header.pop("__metadata__")[FORMAT])["about"]
    assert json.loads(about["made_from"])["settings"]["steps"] == SETTINGS.steps
    assert set(header) == set(NAMES)
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        dtype = {"F64": "<f8", "I64": "<i8"}[entry["dtype"]]
        read = np.frombuffer(numbers[start:end], dtype).reshape(entry["shape"])
        np.testing.assert_array_equal(read, getattr(found, name).numpy())
    assert sum(end - start for start, end in (entry["data_offsets"] for entry in header.values())) == len(numbers)


def test_a_search_that_fails_leaves_no_file(model, facts):
    dropping = replace(model, tokenizer=dropping_tokenizer("!"))
    with pytest.raises(InputError, match="no tokens"):
        cached_target_values(dropping, [replace(facts[0], target_new="!")], 0, SETTINGS)
    assert cached_files() == []

"""500 flipped bits and more over everything that is cached: each is caught or harmless."""

import numpy as np
import pytest
import torch
from measured import write_facts
from tiny_models import save_tiny_checkpoint
from training import train as training
from training.architectures import config_of, new_model

from ks_core.checked_files import read_json, write_json
from ks_core.data.facts import load_facts
from ks_core.errors import KsError
from ks_core.files import cache_dir
from ks_core.measurement.cached_values import cached_target_values
from ks_core.measurement.known import known_facts
from ks_core.measurement.moments.accumulator import SecondMomentAccumulator
from ks_core.measurement.moments.provenance import MomentProvenance
from ks_core.measurement.moments.store import load_sum, load_texts, save_sum
from ks_core.measurement.values import ValueSettings
from ks_core.models.loading import load_model
from ks_core.reporting.baseline_file import FORMAT as BASELINE
from ks_core.reporting.baseline_file import load_baseline

FLIPS = 100
"""For each of the six kinds of file"""

FORM = "ks_core/test/1"
CONTENT = {"numbers": [0.1, 1e-300, -3], "text": "Łódź", "nothing": None, "b": {"a": True}}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))


PROVENANCE = MomentProvenance("m", "w", "c", "t", "float32", "text", "sha", 256, 64)


def keep_moments(folder):
    path, generator = folder / "moments.safetensors", torch.Generator().manual_seed(0)
    accumulator = SecondMomentAccumulator(6)
    accumulator.update(torch.randn(256, 6, generator=generator))
    save_sum(path, accumulator.packed(), 1, 256, 9, PROVENANCE)
    return path, lambda: [load_sum(path, 1, 256, PROVENANCE).tolist(), load_texts(path, 1, 256, PROVENANCE)]


def keep_values(folder):
    model = load_model(save_tiny_checkpoint(folder / "model", "gpt2"))
    facts = load_facts(write_facts(folder / "facts.json")).facts[:3]

    def ask():
        found = cached_target_values(model, facts, 0, ValueSettings(steps=1))
        return [getattr(found, name).tolist() for name in ("keys", "values", "probabilities", "steps")]

    ask()
    return next((cache_dir() / "values").iterdir()), ask


def keep_known(folder):
    model = load_model(save_tiny_checkpoint(folder / "model", "gpt2"))
    facts = load_facts(write_facts(folder / "facts.json"))
    known_facts(model, facts)
    return next((cache_dir() / "known").iterdir()), lambda: known_facts(model, facts)


def keep_checkpoint(folder):
    path = folder / "checkpoint.safetensors"

    def fresh(seed):
        model = new_model(config_of("gpt2", 1, 40), seed=seed)
        return model, training._optimizer(model, training.Recipe())

    model, optimizer = fresh(0)
    for parameter in model.parameters():
        optimizer.state[parameter] = {kind: torch.rand_like(parameter) for kind in ("exp_avg", "exp_avg_sq")}
    training._save(model, optimizer, path, 200, 1.5)

    def ask():
        model, optimizer = fresh(1)
        found = training._resume(model, optimizer, path)
        return found, [(name, tensor.tolist()) for name, tensor in training._state(model, optimizer).items()]

    return path, ask


def keep_baseline(folder):
    path = folder / "baseline.json"
    finding = {"value": 0.25, "error": 0.01, "verdict": "holds", "quantity": "P", "threshold": "> 0"}
    statistics = {"kurtosis of P": {"value": [1.5, None], "error": [0.25, None]}}
    parts = {"request": {"model": "m"}, "provenance": {"weights_sha256": "w"}, "findings": {"a": finding}}
    write_json(path, BASELINE, {**parts, "statistics": statistics, "tests": {"test_a": ["a"]}})
    return path, lambda: load_baseline(path)


def keep_json(folder):
    path = folder / "file.json"
    write_json(path, FORM, CONTENT)
    return path, lambda: read_json(path, FORM)


def answer_or_error(ask):
    try:
        return ask(), None
    except KsError as error:
        return None, str(error)


@pytest.mark.parametrize("keep", [keep_moments, keep_values, keep_known, keep_checkpoint, keep_baseline, keep_json])
def test_flipped_bits_are_caught_or_harmless(tmp_path, keep):
    """Half of them anywhere, half in the first thousand bytes, where headers are."""
    path, ask = keep(tmp_path)
    before, content, draw = ask(), path.read_bytes(), np.random.default_rng(0)
    caught = 0
    for flip in range(FLIPS):
        place = draw.integers(len(content) if flip % 2 else min(1000, len(content)))
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(draw.integers(8))
        path.write_bytes(damaged)
        found, said = answer_or_error(ask)
        caught += said is not None
        assert found == before or (path.name in said and "\n" not in said), f"after a flip at byte {place}: {said}"
        assert path.read_bytes() == damaged, "what is damaged is left alone"
    assert caught > FLIPS / 2
    path.write_bytes(content)
    assert ask() == before


def test_planted_fault_without_checksums_flips_pass(tmp_path, monkeypatch):
    monkeypatch.setattr("ks_core.checked_files._sha256_of_tensor", lambda _: "")
    path, ask = keep_moments(tmp_path)
    before, content = ask(), bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    assert not np.array_equal(ask(), before)

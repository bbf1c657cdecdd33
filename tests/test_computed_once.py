"""Expensive linear algebra is done once for each thing that it is done to, and its result is passed on.

What is counted are the real calls, by the size of their matrix: a factorisation or a whitening that comes back for the
same layer and text fails here, wherever it hides.
"""

from collections import Counter

import pytest
import torch
from measured import write_everything

from ks_core.auditing.predict import audit
from ks_core.experiments.pairs.layer import layer_pairs
from ks_core.experiments.request.inputs import load_inputs
from ks_core.experiments.request.selection import select_facts
from ks_core.experiments.request.settings import Settings
from ks_core.experiments.streams.measure import measure_stream
from ks_core.measurement.keys import subject_keys
from ks_core.theory.methods import Sequential
from ks_core.theory.whitening import Whitening

COUNTED = ("cholesky_ex", "eigh", "eigvalsh", "svd")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        paths = write_everything(folder, "gpt2", layers=3)
        loaded = load_inputs(Settings(**paths, num_facts=8, num_edits=4, tokens=1600, resamples=40))
        loaded.text()  # collected before anything is counted
        yield loaded


@pytest.fixture
def calls(inputs, monkeypatch):
    """How often each decomposition met a (d_key, d_key) matrix, and `whiten` and `svd` any keys."""
    counted, d_key = Counter(), inputs.model.adapter.d_key

    def counting(name, function):
        def call(matrix, *arguments, **options):
            if name in ("svd", "whiten") or matrix.shape == (d_key, d_key):
                counted[name] += 1
            return function(matrix, *arguments, **options)

        return call

    for name in COUNTED:
        monkeypatch.setattr(torch.linalg, name, counting(name, getattr(torch.linalg, name)))
    monkeypatch.setattr(Whitening, "whiten", counting("whiten", Whitening.whiten))
    return counted


def test_pair_matrices_factor_and_whiten_once_for_the_text_and_for_each_half(inputs, calls):
    keys = subject_keys(inputs.model, inputs.facts.facts[:8])
    layer_pairs(1, keys[1], 6, inputs.text())
    assert calls == {"cholesky_ex": 3, "whiten": 3}


def test_a_stream_factors_its_layer_once_for_the_text_and_for_each_half(inputs, calls):
    measure_stream(inputs, select_facts(inputs.model, inputs.facts, 8), 4)
    assert calls["cholesky_ex"] == 3
    assert calls["eigh"] == 1, "the null space"
    assert calls["eigvalsh"] == 0
    assert calls["svd"] == 3, "the protected span over the text and over its first half, and orthogonal keys"


def test_a_stream_does_not_whiten_once_more_for_more_checkpoints(inputs, calls):
    selection = select_facts(inputs.model, inputs.facts, 8)
    measure_stream(inputs, selection, 4)
    of_four = calls.pop("whiten")
    measure_stream(inputs, selection, 5)
    assert calls["whiten"] - of_four == 1, "the protected method's directions, at one more checkpoint"


def test_an_audit_factors_each_layer_once_and_the_halves_of_the_chosen_one(inputs, calls):
    facts, settings = inputs.facts.facts, inputs.settings
    audit(inputs.model, facts[24:28], facts[30:40], corpus=settings.corpus, tokens=settings.tokens)
    tried = inputs.model.adapter.num_layers - 1
    assert calls["cholesky_ex"] == tried + 2
    assert calls["whiten"] == 1 + 2, "of the chosen one"


def test_a_whitening_that_comes_back_is_counted(inputs, calls):
    text = inputs.text()
    keys = subject_keys(inputs.model, inputs.facts.facts[:3], [1])[1]
    for _ in range(2):
        Sequential(text.whole(1)).space.whiten(keys)
    assert calls == {"cholesky_ex": 2, "whiten": 2}

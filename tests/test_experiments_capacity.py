"""Streams of insertions: counts, damage against single edits one by one, what is infeasible; one seed, one result."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from measured import write_everything
from tiny_models import save_tiny_checkpoint

from ks_core.data.facts import INSERTIONS, load_facts
from ks_core.errors import InputError
from ks_core.experiments.capacity.measure import measure_capacity
from ks_core.experiments.capacity.stream import BEYOND, METHODS, counts_of
from ks_core.experiments.lifelong.scores import HALVED
from ks_core.experiments.request.inputs import load_inputs
from ks_core.experiments.request.selection import select_facts
from ks_core.experiments.request.settings import Settings
from ks_core.measurement.kept_facts import in_batches, read_all
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.values import target_values
from ks_core.models.editing import edited
from ks_core.theory.editing import single_edit

ASKED = 12


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capacity")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        paths = write_everything(folder, "llama", layers=2)
        family = tuple(str(save_tiny_checkpoint(folder / f"neox{n}", "gpt_neox", layers=n)) for n in (2, 3))
        settings = Settings(**paths, families=(family,), num_facts=8, insertions=ASKED, tokens=1600, resamples=40)
        yield load_inputs(settings)


@pytest.fixture(scope="module")
def selection(inputs):
    return select_facts(inputs.model, inputs.facts, 8)


@pytest.fixture(scope="module")
def measured(inputs, selection):
    before = inputs.model.weights_sha256
    found = measure_capacity(inputs, selection)
    assert inputs.model.weights_sha256 == before
    return found


def test_counts_of_a_stream_hold_one_all_and_the_dimension():
    assert counts_of(149, 186) == (1, 2, 4, 8, 16, 32, 64, 128, 149, 186)
    assert counts_of(1536, 384) == (1, 2, 4, 8, 16, 32, 64, 128, 256, 384)


def test_members_get_more_edits_than_dimensions_and_the_model_of_the_run_what_was_asked(measured):
    *members, own = measured.models
    assert [model.edits for model in members] == [round(BEYOND * model.d_key) for model in members]
    assert own.edits == ASKED
    assert [damage.edits for damage in own.curves["joint"]] == [1, 2, 4, 8, 12]
    assert len({model.name for model in measured.models}) == 3


def test_joint_edits_of_more_keys_than_dimensions_are_infeasible_and_the_others_finish(measured):
    for model in measured.models[:-1]:
        *_, last = model.curves["joint"]
        said = re.match(rf"the {model.edits} keys of a joint edit span only (\d+) directions", last.failed)
        assert said is not None
        assert int(said[1]) <= model.d_key
        assert np.isnan([last.share, last.growth]).all()
        assert not len(last.halved)
        assert model.curves["joint"][0] in model.known("joint")
        assert len(model.known("sequential")) == len(model.curves["sequential"])
        assert all(damage.growth > 0 and len(damage.halved) == model.watched for damage in model.known("sequential"))


def test_one_seed_gives_one_result(inputs, selection, measured):
    again = measure_capacity(replace(inputs, settings=replace(inputs.settings, families=())), selection)
    for method in METHODS:
        for one, other in zip(again.models[-1].curves[method], measured.models[-1].curves[method], strict=True):
            assert one.growth == other.growth
            assert (one.halved == other.halved).all()


def test_damage_is_that_of_edits_made_one_by_one(inputs, selection, measured):
    own = measured.models[-1]
    model, layer = inputs.model, own.layer
    values = target_values(model, load_facts(INSERTIONS).facts[:ASKED], layer)  # in the same batch, for the same bits
    whitening = inputs.text().whole(layer)
    weight = model.adapter.weight(layer).double().clone()
    last = weight
    for key, value in zip(values.keys[:4], values.values[:4], strict=True):
        last = single_edit(last, key, value, whitening).apply(last)
    halved = []
    for fact in selection.pool:
        batches = in_batches(model, [fact], [frozenset()])
        before = read_all(model, batches).log_probability
        with edited(model.adapter, layer, last - weight):
            after = read_all(model, batches).log_probability
        halved.append(bool(after <= before - HALVED))
    damage = own.curves["sequential"][2]
    assert damage.edits == 4
    assert damage.halved.tolist() == halved
    growth = float(torch.linalg.matrix_norm(last - weight) / torch.linalg.matrix_norm(weight))
    assert damage.growth == pytest.approx(growth, rel=1e-9)


def test_mean_squares_of_superposition_are_those_of_its_definition(inputs, selection, measured):
    own = measured.models[-1]
    second_moment = inputs.text().second_moment(own.layer).numpy()
    edits = subject_keys(inputs.model, load_facts(INSERTIONS).facts[:ASKED], [own.layer])[own.layer].numpy()
    others = subject_keys(inputs.model, selection.pool.facts, [own.layer])[own.layer].numpy()
    solved = np.linalg.solve(second_moment, edits.T).T
    norms = (solved * edits).sum(axis=1)[:, None]
    among = [(solved[i] @ edits[j] / norms[i, 0]) ** 2 for i in range(ASKED) for j in range(ASKED) if i != j]
    assert own.among == pytest.approx(np.mean(among), rel=1e-6)
    assert own.onto == pytest.approx(np.mean((solved @ others.T / norms) ** 2), rel=1e-6)


def test_more_insertions_than_there_are_are_refused(inputs, selection):
    greedy = replace(inputs, settings=replace(inputs.settings, families=(), insertions=5000))
    with pytest.raises(InputError, match=r"5000 insertions were asked for in model, and \d+ can be made; .*insertions"):
        measure_capacity(greedy, selection)

"""Streams of edits on tiny real models of three architectures: predictions are met, and nothing is left behind."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from measured import write_everything

from ks_core.claims import methods
from ks_core.claims.finding import Verdict
from ks_core.errors import InputError
from ks_core.experiments.request.inputs import load_inputs
from ks_core.experiments.request.selection import select_facts
from ks_core.experiments.request.settings import Settings
from ks_core.experiments.streams.lossless import orthogonalised
from ks_core.experiments.streams.measure import measure_stream
from ks_core.experiments.streams.plan import checkpoints, split_unedited
from ks_core.experiments.streams.run import edit_streams
from ks_core.experiments.streams.scores import scores_of
from ks_core.measurement.keys import subject_keys
from ks_core.models.fingerprint import weights_sha256
from ks_core.reporting.figures.drawing import save_figures
from ks_core.reporting.figures.streams import stream_figures
from ks_core.reporting.results import plain
from ks_core.reporting.streams import methods_table, stream_numbers
from ks_core.theory.superposition import superposition

ARCHITECTURES = ("gpt2", "gpt_neox", "llama")
AGREES = 1e-10
EPS32 = torch.finfo(torch.float32).eps
METHODS = {"sequential", "joint", "null-space", "protected"}


def inputs_of(folder, model_type):
    paths = write_everything(folder, model_type, layers=3)  # a NeoX's first keys depend on one token alone
    return load_inputs(Settings(**paths, num_facts=8, num_edits=4, tokens=1600, resamples=40))


@pytest.fixture(scope="module", params=ARCHITECTURES)
def measured(request, tmp_path_factory):
    """A stream of four edits, with its inputs and the weights' hash before it."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        inputs = inputs_of(folder, request.param)
        selection = select_facts(inputs.model, inputs.facts, 8)
        yield inputs, selection, measure_stream(inputs, selection, 4)


def test_predicted_interference_is_measured_for_every_method(measured):
    _, _, found = measured
    assert set(found.streams.runs) == METHODS
    for name, run in found.streams.runs.items():
        assert [at.edits for at in run] == [1, 2, 4]
        for at in run:
            scale = float(np.sqrt((at.exact.bystanders.measured**2).mean()))
            assert scale > 1e-3, "an edit that moves nothing would agree with anything"
            assert at.exact.bystanders.relative() < AGREES, name
            # Δ_e and protected facts may be zero by construction: the difference is held against the edit's reach
            for part in (at.exact.edits, at.exact.protected):
                assert part.difference.max() < AGREES * max(scale, part.measured.max()), name


def test_predicted_interference_in_the_models_own_dtype_is_off_by_rounding_only(measured):
    inputs, _, found = measured
    weight = inputs.model.adapter.weight(found.streams.layer).double()
    size = float(weight.norm()) * float(found.streams.values.keys.norm(dim=1).max())
    for run in found.streams.runs.values():
        for at in run:
            # one rounding of the weight, of the keys, and of each of the d_key terms of two products
            allowed = (inputs.model.adapter.d_key + 4) * EPS32 * 2 * (size + at.own_dtype.bystanders.measured.max())
            assert at.own_dtype.bystanders.difference.max() < allowed
            assert at.own_dtype.edits.difference.max() < allowed


def test_protected_facts_and_joint_edits_are_not_disturbed(measured):
    _, _, found = measured
    runs = {name: run[-1].exact for name, run in found.streams.runs.items()}
    size = float(np.sqrt((runs["sequential"].bystanders.measured ** 2).mean()))
    assert runs["protected"].protected.measured.max() < AGREES * size
    assert runs["joint"].edits.measured.max() < AGREES * size
    assert runs["sequential"].protected.measured.max() > 0.01 * size
    assert runs["sequential"].edits.measured.max() > 0.01 * size
    assert np.isfinite(found.streams.freedom).all()
    assert (found.streams.freedom < 1).all()


def test_orthogonal_keys_lose_nothing_and_real_ones_do(measured):
    _, _, found = measured
    assert len(found.lossless.orthogonal) > 0
    assert found.lossless.orthogonal.max() < AGREES
    assert found.lossless.as_they_are.max() > 0.01


def test_orthogonalised_keys_keep_their_whitened_lengths(measured):
    inputs, _, found = measured
    whitening = inputs.text().whole(found.streams.layer)
    turned = whitening.whiten(orthogonalised(found.streams.values.keys, whitening))
    lengths = whitening.whiten(found.streams.values.keys).norm(dim=1)
    torch.testing.assert_close(
        turned @ turned.T, torch.diag(lengths**2), rtol=1e-9, atol=1e-9 * float(lengths.max()) ** 2
    )


def test_the_model_is_restored_and_a_second_stream_gives_the_same_bytes(measured, tmp_path, monkeypatch):
    inputs, selection, found = measured
    assert weights_sha256(inputs.model.model) == inputs.model.weights_sha256
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path))  # so that nothing is taken from a cache
    again = measure_stream(inputs, selection, 4)
    written = [json.dumps(plain({**stream_numbers(of), "seconds": None})) for of in (found, again)]
    assert written[0] == written[1]


def test_a_shorter_stream_is_the_beginning_of_a_longer_one(measured):
    """No state survives; values that are searched in batches of other sizes round differently in float32."""
    inputs, selection, found = measured
    pool = selection.pool.facts
    text = inputs.text()
    shorter = edit_streams(inputs.model, text, text.whole(found.streams.layer), inputs.corpus, pool, 2)
    for name in ("sequential", "joint"):  # the others' spaces depend on the facts that are left
        before, after = (of.runs[name][0].answers.rewrite.new for of in (found.streams, shorter))
        np.testing.assert_allclose(before, after, rtol=1e-4)


def test_geometry_is_that_of_the_keys(measured):
    inputs, _, found = measured
    streams = found.streams
    whitening = inputs.text().whole(streams.layer)
    keys = subject_keys(inputs.model, [*streams.edits, *streams.bystanders], [streams.layer])[streams.layer]
    rows = whitening.whiten(keys)
    np.testing.assert_allclose(streams.geometry.among, superposition(rows[:4]), rtol=1e-7)
    np.testing.assert_allclose(streams.geometry.onto, superposition(rows[:4], rows[4:]), rtol=1e-6, atol=1e-9)


def test_scores_have_errors_and_counts(measured):
    _, _, found = measured
    for run in found.streams.runs.values():
        scores = scores_of(found.streams, run[-1])
        assert scores["efficacy"].count == 4
        assert all(math.isfinite(score.error) == (score.count > 1) for score in scores.values())


def test_report_and_figures_are_written(measured, tmp_path):
    _, _, found = measured
    numbers = json.dumps(plain(stream_numbers(found)), allow_nan=False)
    assert all(name in numbers for name in METHODS)
    lines = methods_table(found)
    assert [line.split()[0] for line in lines[1:5]] == list(found.streams.runs)
    paths, problems = save_figures(tmp_path, stream_figures(found, "tiny"))
    assert problems == []
    assert [path.name for path in paths] == ["interference.png", "growth.png", "methods.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


@pytest.mark.parametrize("num_edits", [7, 100])
def test_more_edits_than_facts_or_directions_are_refused(measured, num_edits):
    inputs, selection, found = measured
    text = inputs.text()
    whitening = text.whole(found.streams.layer)
    with pytest.raises(InputError, match=f"{num_edits} edits were asked for .* expected at most 6"):
        edit_streams(inputs.model, text, whitening, inputs.corpus, selection.pool.facts, num_edits)


def test_a_fact_that_a_neighbourhood_prompt_asks_is_not_protected(measured):
    inputs, _, _ = measured
    facts = inputs.facts.facts
    asked = facts[0]
    edit = next(fact for fact in facts if fact.neighborhood_prompts)
    edit = type(edit)(**{**vars(edit), "neighborhood_prompts": (facts[3].text,)})
    bystanders, protected = split_unedited([edit], [asked, facts[1], facts[2], facts[3], facts[4], facts[5]], most=10)
    assert protected == (facts[1], facts[5])
    assert set(bystanders) == {asked, facts[2], facts[3], facts[4]}
    assert split_unedited([edit], facts[:6], most=1)[1] == (facts[1],)


def test_checkpoints_end_at_all_edits():
    assert [checkpoints(n) for n in (1, 2, 5, 8)] == [(1,), (1, 2), (1, 2, 4, 5), (1, 2, 4, 8)]


def test_edits_without_neighbourhood_prompts_leave_locality_open_and_the_rest_is_judged(measured):
    def unasked(answers):
        nobody = np.array([], dtype=np.intp)
        return replace(answers, neighbourhood=replace(answers.neighbourhood, fact=nobody, new=nobody, true=nobody))

    def without(at):
        return replace(at, answers=unasked(at.answers))

    _, _, whole = measured
    streams = whole.streams
    bare = replace(
        streams,
        before=unasked(streams.before),
        runs={name: tuple(map(without, run)) for name, run in streams.runs.items()},
        of_half={name: without(at) for name, at in streams.of_half.items()},
    )
    found = {finding.part: finding for finding in methods.judge(replace(whole, streams=bare))}
    assert found["locality"].verdict is Verdict.UNDECIDED
    assert (found["locality"].count, found["locality"].references) == (0, ())
    for finding in methods.judge(whole):
        if finding.part != "locality":
            assert repr(found[finding.part]) == repr(finding), "NaN is no equal of itself"

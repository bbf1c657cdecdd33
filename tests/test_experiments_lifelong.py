"""Long streams on tiny real models of three architectures: what is read, simulated and put back."""

import re
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from measured import write_everything

from ks_core.errors import InputError, KsError, UndoError
from ks_core.experiments.lifelong.acting import at_subject, simulate
from ks_core.experiments.lifelong.contenders import (
    Contender,
    closed,
    contenders,
    details_of,
    of_editor,
    sequential,
    text_space,
)
from ks_core.experiments.lifelong.forecast import foretell, with_drawn_residuals
from ks_core.experiments.lifelong.ground import subject_bank
from ks_core.experiments.lifelong.measure import ground_of, of_others, watches_of
from ks_core.experiments.lifelong.reading import about_new, after_prompt
from ks_core.experiments.lifelong.run import look_after, run, run_all
from ks_core.experiments.lifelong.searches import of_searches
from ks_core.experiments.lifelong.watch import changed
from ks_core.experiments.request.inputs import load_inputs
from ks_core.experiments.request.selection import select_facts
from ks_core.experiments.request.settings import Settings
from ks_core.measurement.kept_facts import in_batches, read_all, rivals_of
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.scoring import continuation_log_probabilities
from ks_core.models.fingerprint import weights_sha256
from ks_core.theory.editing import EditTerms, joint_edit_of

EDITS = 12
EPS = torch.finfo(torch.float64).eps
# A log-probability is a sum over some thousand products in each of three blocks, each rounded in float64.
ROUNDING = 1e5 * EPS


@pytest.fixture(scope="module", params=["gpt2", "gpt_neox", "llama"])
def stream(request, tmp_path_factory):
    """The ground of a long stream and what is asked in each of its two orders."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        paths = write_everything(folder, request.param, layers=3)
        inputs = load_inputs(Settings(**paths, num_facts=8, tokens=1600, resamples=40, dtype="float64"))
        everything = tuple(fact.case_id for fact in inputs.facts)  # an untrained model knows next to nothing
        selection = replace(select_facts(inputs.model, inputs.facts, 8), usable=everything)
        ground = ground_of(inputs, selection, EDITS, 2)
        yield ground, watches_of(inputs, ground)


def standings(look):
    return [look.early, look.later, look.paraphrase, look.neighbourhood, look.watched]


def methods_of(ground):
    return [*contenders(ground.weight.shape[1]), *of_searches()]


def makeable(edits, places):
    """As many of the first edits as a method can make: keys of an untrained model nearly depend on each other."""
    for count in range(len(places), 3, -1):
        with suppress(KsError):
            edits(places[:count].tolist())
            return places[:count]
    raise AssertionError("not even four edits can be made")


def test_every_method_is_simulated_as_it_is_really_made(stream):
    ground, (watch, _) = stream
    before = weights_sha256(ground.model.model)
    moved = {}
    for contender in methods_of(ground):
        edits = contender.prepare(ground)
        places = makeable(edits, watch.order)
        real = look_after(edits, places, ground, watch)
        made = edits(places.tolist())
        for asked, found in ((watch.watched, real.watched), (watch.early.asked, real.early)):
            foretold = simulate(asked, made, first=len(found.lead))
            torch.testing.assert_close(foretold.log_probability, found.log_probability, rtol=0, atol=ROUNDING)
            torch.testing.assert_close(foretold.lead, found.lead, rtol=0, atol=ROUNDING)
        unedited = watch.watched.read().log_probability
        moved[contender.method, contender.setting] = float((real.watched.log_probability - unedited).abs().max())
    assert min(moved.values()) > 1e3 * ROUNDING, "a method that changes nothing would agree with anything"
    assert weights_sha256(ground.model.model) == before


def test_one_layer_and_several_are_put_back_bit_for_bit(stream):
    ground, (watch, _) = stream
    before = weights_sha256(ground.model.model)
    spread = next(of for of in methods_of(ground) if of.method == "spread").prepare(ground)(watch.order.tolist())
    assert len(spread) > 1
    with changed(ground.model, {layer: edit.delta() for layer, edit in spread.items()}):
        assert weights_sha256(ground.model.model) != before
    assert weights_sha256(ground.model.model) == before


def test_looks_at_the_same_edits_are_the_same_to_the_bit(stream):
    ground, (watch, _) = stream
    edits = closed(text_space, sequential)(ground)
    first, again = (look_after(edits, watch.order[:5], ground, watch) for _ in range(2))
    for one, other in zip(standings(first), standings(again), strict=True):
        assert torch.equal(one.log_probability, other.log_probability)
    assert np.array_equal(first.losses, again.losses)


def test_what_is_read_from_the_layer_on_is_what_the_whole_model_says(stream):
    ground, (watch, _) = stream
    delta = joint_edit_of(ground.terms(ground.whitening).at(watch.order.tolist())).delta()
    plan = ground.plan
    whole = in_batches(ground.model, plan.watched, rivals_of(plan.watched, plan.edits))
    with changed(ground.model, {plan.layer: delta}):
        expected = read_all(ground.model, whole)
        found = watch.watched.read()
        news = [about_new(plan.edits[place]) for place in watch.order[: plan.early]]
        asked = [(fact.text, fact.target_true) for fact in news]
        by_hand = continuation_log_probabilities(ground.model, *zip(*asked, strict=True), per_token=True)
        early = watch.early.read(EDITS)
    torch.testing.assert_close(found.log_probability, expected.log_probability, rtol=0, atol=ROUNDING)
    torch.testing.assert_close(early.log_probability, torch.tensor(by_hand).double(), rtol=0, atol=1e-5)


def test_another_prompt_is_asked_as_it_is_written(stream):
    ground, (watch, _) = stream
    stream_facts = [ground.plan.edits[place] for place in watch.order[: ground.plan.early]]
    worded = [fact for fact in stream_facts if fact.paraphrase_prompts]
    found = watch.paraphrase.read(EDITS).log_probability
    asked = [(fact.paraphrase_prompts[0], fact.target_new) for fact in worded]
    expected = continuation_log_probabilities(ground.model, *zip(*asked, strict=True), per_token=True)
    torch.testing.assert_close(found, torch.tensor(expected).double(), rtol=0, atol=1e-5)
    assert after_prompt(worded[0], worded[0].paraphrase_prompts[0]).text == worded[0].paraphrase_prompts[0]


def test_edits_not_made_yet_are_not_read(stream):
    ground, (watch, _) = stream
    edits = closed(text_space, sequential)(ground)
    look = look_after(edits, watch.order[:2], ground, watch)
    assert [len(of.lead) for of in standings(look)[:2]] == [2, 0]
    assert len(look_after(edits, watch.order, ground, watch).later.lead) == EDITS - ground.plan.early


def test_an_edit_at_every_token_is_one_at_the_subject_and_elsewhere(stream):
    ground, (watch, _) = stream
    edits = {ground.plan.layer: joint_edit_of(ground.terms(ground.whitening))}
    everywhere, nowhere = (simulate(watch.watched, edits, where) for where in (
        lambda rows: torch.ones_like(rows.input_ids, dtype=torch.bool),
        lambda rows: torch.zeros_like(rows.input_ids, dtype=torch.bool),
    ))  # fmt: skip
    assert torch.equal(everywhere.log_probability, simulate(watch.watched, edits).log_probability)
    unedited = watch.watched.read().log_probability
    torch.testing.assert_close(nowhere.log_probability, unedited, rtol=0, atol=ROUNDING)
    alone, elsewhere = (
        simulate(watch.watched, edits, where).log_probability for where in (at_subject, lambda rows: ~at_subject(rows))
    )
    assert not torch.equal(alone, elsewhere)
    assert min(float((of - unedited).abs().max()) for of in (alone, elsewhere)) > 1e3 * ROUNDING


def test_the_token_that_an_edit_acts_at_is_the_subjects_last(stream):
    _, (watch, _) = stream
    for _, asked, _ in watch.watched.parts(len(watch.watched)):
        where = at_subject(asked.rows)
        assert (where.sum(dim=1) == 1).all()
        assert torch.equal(where.long().argmax(dim=1), asked.rows.subject_last)


def test_keys_of_many_subjects_are_those_of_their_whole_prompts(stream):
    ground, _ = stream
    facts = ground.plan.edits
    whole = subject_keys(ground.model, facts, [ground.plan.layer])[ground.plan.layer]
    torch.testing.assert_close(subject_bank(ground.model, facts, ground.plan.layer), whole, rtol=0, atol=ROUNDING)


def raising(weight, keys, *_):
    if len(keys) > 4:
        raise ValueError("no more than four")
    return weight


def turning_to_nan(weight, keys, *_):
    return weight * float("nan") if len(keys) > 3 else weight


def exploding(weight, keys, *_):
    return weight * 1e300 if len(keys) > 2 else weight


@pytest.mark.parametrize(
    ("editor", "reason"),
    [
        (raising, "after 12 edits: the editor mine raised ValueError: 'no more than four'"),
        (turning_to_nan, "after 12 edits: .*nan"),
        (exploding, "after 12 edits: .*(finite|inf)"),
    ],
)
def test_an_editor_that_fails_in_the_middle_ends_its_own_row_only(stream, editor, reason):
    ground, watches = stream
    own = Contender("sequential", "", closed(text_space, sequential), is_default=True)
    before = weights_sha256(ground.model.model)
    failed, fine = run_all([of_editor("mine", editor), own], ground, watches)
    assert failed.failed
    assert re.search(reason, failed.failed, re.IGNORECASE), failed.failed
    assert fine.counts == ground.plan.frontier
    assert not fine.failed
    assert weights_sha256(ground.model.model) == before


def test_our_own_method_as_anyones_editor_is_the_same_row(stream):
    ground, watches = stream

    def joint(weight, keys, values, second_moment):
        solved = torch.linalg.solve(second_moment, keys.T)
        return weight + (values - keys @ weight.T).T @ torch.linalg.solve(keys @ solved, solved.T)

    mine = run(of_editor("mine", joint), ground, watches)
    ours = run(Contender("joint", "", closed(text_space, joint_edit_of), is_default=True), ground, watches)
    for one, other in zip(mine.at(EDITS), ours.at(EDITS), strict=True):
        torch.testing.assert_close(one.watched.log_probability, other.watched.log_probability, rtol=0, atol=1e-6)


def test_more_joint_edits_than_directions_say_how_many_there_are(stream):
    ground, watches = stream
    keys = ground.values.keys.clone()
    keys[ground.plan.orders[0][1]] = keys[ground.plan.orders[0][0]]
    levels = {level: replace(values, keys=keys) for level, values in ground.levels.items()}
    curve = run(
        Contender("joint", "", closed(text_space, joint_edit_of), is_default=True, is_followed=True),
        replace(ground, levels=levels),
        watches[:1],
    )
    assert [look.edits for look in curve.looks[0]] == [1]
    assert "after 2 edits: the 2 keys of a joint edit span only 1 directions" in curve.failed


def test_edits_outside_a_sample_get_what_one_inside_wants():
    terms = EditTerms(torch.eye(6).double(), torch.arange(6.0)[:, None].double(), torch.eye(6).double())
    sample = np.array([1, 4])
    drawn = with_drawn_residuals(terms, sample, np.random.default_rng(0))
    assert drawn.residuals[sample].flatten().tolist() == [1.0, 4.0]
    assert set(drawn.residuals.flatten().tolist()) == {1.0, 4.0}
    assert torch.equal(drawn.keys, terms.keys)


def test_a_forecast_from_edits_that_all_want_the_same_is_what_comes(stream):
    ground, (watch, _) = stream
    terms = ground.terms(ground.whitening)
    alike = EditTerms(terms.keys, terms.residuals[:1].expand_as(terms.residuals), terms.directions)
    found = foretell("sequential", sequential, alike, ground.plan, watch.watched, seed=0)
    assert found.sample == EDITS // 4
    ends = [looks[-1] for looks in found.curve.looks]
    assert {look.edits for look in ends} == {EDITS}
    # The weight after all edits depends on the order where edits are sequential; joint edits have none.
    joint = foretell("joint", joint_edit_of, alike, ground.plan, watch.watched, seed=0)
    real = simulate(watch.watched, {ground.plan.layer: joint_edit_of(alike)})
    for looks in joint.curve.looks:
        torch.testing.assert_close(looks[-1].watched.log_probability, real.log_probability, rtol=0, atol=ROUNDING)
    assert not torch.equal(ends[0].watched.log_probability, ends[1].watched.log_probability)


def test_a_forecast_is_the_same_from_the_same_seed_and_not_from_another(stream):
    ground, (watch, _) = stream
    terms = ground.terms(ground.whitening)
    one, same, other = (
        foretell("joint", joint_edit_of, terms, ground.plan, watch.watched, seed=seed).curve.looks[0][-1]
        for seed in (3, 3, 4)
    )
    assert torch.equal(one.watched.log_probability, same.watched.log_probability)
    assert not torch.equal(one.watched.log_probability, other.watched.log_probability)


def test_an_editor_with_the_name_of_a_method_is_refused():
    own = contenders(64)
    assert [of.method for of in of_others({"mine": raising}, own)] == ["mine"]
    with pytest.raises(InputError, match=r"an editor is called 'MEMIT'; expected another name than .*MEMIT"):
        of_others({"MEMIT": raising}, own)


def test_weights_that_cannot_be_put_back_end_the_run(stream):
    ground, watches = stream

    def unable(_places):
        raise UndoError("the layer is gone")

    with pytest.raises(UndoError):
        run(Contender("broken", "", lambda _: unable, is_default=True), ground, watches)


def test_details_say_what_names_do_not(stream):
    found = details_of(stream[0])
    assert found["spread"] == "layers 0, 1"
    assert found["PRUNE"].startswith("base ")
    assert "other subjects" in found["protected"]

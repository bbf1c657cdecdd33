"""Scores of long streams by hand, and which facts a long stream takes in which order."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ks_core.data.facts import Fact
from ks_core.errors import InputError
from ks_core.experiments.lifelong.look import Curve, Look
from ks_core.experiments.lifelong.plan import FEWEST_EDITS, MOST_WATCHED, plan_lifelong
from ks_core.experiments.lifelong.scores import SCORES, foretold_scores, scores_of, watched_scores
from ks_core.measurement.standing import Standing
from ks_core.statistics.means import Mean


def standing(probabilities, leads=None):
    numbers = torch.tensor(probabilities, dtype=torch.float64)
    lead = torch.ones_like(numbers) if leads is None else torch.tensor(leads, dtype=torch.float64)
    return Standing(numbers.log(), lead, torch.zeros(len(numbers), dtype=torch.int64))


def look(edits, early, later, watched, **more):
    nothing = standing([])
    parts = {"paraphrase": nothing, "neighbourhood": nothing, "losses": np.array([2.0, 3.0]), "growth": 0.5, **more}
    return Look(edits, standing(early), standing(later), watched=standing(*watched), length=1.0, **parts)


BEFORE = look(8, [0.1, 0.1], [0.1, 0.1], ([0.8, 0.8, 0.8, 0.8], [1.0, 1.0, 1.0, -1.0]))
LENGTHS = np.array([1.0, 3.0])


def test_scores_are_what_a_hand_finds():
    after = look(8, [0.9, 0.5], [0.2, 0.4], ([0.8, 0.4, 0.1, 0.9], [1.0, 0.5, -0.1, -1.0]), losses=np.array([2.5, 3.1]))
    found = scores_of([after], [BEFORE], LENGTHS, early=2)
    assert tuple(found) == SCORES
    assert found["retention"].value == pytest.approx(0.7)
    # Two early edits stand for themselves, the two that were read of the later six for three each.
    assert found["p(new)"].value == pytest.approx((0.9 + 0.5 + 3 * 0.2 + 3 * 0.4) / 8)
    assert found["watched halved"].value == 0.5, "0.4 is just half of 0.8"
    assert found["watched overtaken"].value == pytest.approx(1 / 3), "one of those that were ahead"
    assert found["watched change"].value == pytest.approx(np.log([1, 0.5, 0.125, 1.125]).mean())
    assert found["watched tail"].value == pytest.approx(np.log(0.125))
    assert found["log-perplexity rise"].value == pytest.approx((0.5 + 3 * 0.1) / 4)
    assert found["growth"].value == 0.5
    assert np.isnan(found["paraphrase"].value)


def test_objects_that_no_token_tells_apart_are_no_success():
    after = look(8, [0.9, 0.9], [0.5, 0.5], ([0.8] * 4, [1.0, math.inf, -1.0, 1.0]))
    apart = replace(after, early=standing([0.9, 0.9], [math.inf, -1.0]), later=standing([0.5, 0.5], [-1.0, -1.0]))
    found = scores_of([apart], [BEFORE], LENGTHS, early=2)
    assert found["efficacy"].value == 0
    assert found["watched overtaken"] == Mean(0.5, 0.5, 2)


def test_samples_that_know_different_numbers_of_edits_have_one_error():
    looks = [look(2, early, [], ([0.8] * 4,)) for early in ([0.5], [0.2, 0.4], [])]
    found = foretold_scores(looks, BEFORE)["retention"]
    assert found.value == pytest.approx(0.4)
    assert found.error == pytest.approx(np.hypot(0.2 / 2, 0.1))


def test_errors_have_a_part_between_orders_and_one_within():
    one, other = (look(8, early, [0.5, 0.5], ([0.8] * 4,)) for early in ([0.9, 0.5], [0.3, 0.1]))
    found = scores_of([one, other], [BEFORE, BEFORE], LENGTHS, early=2)["retention"]
    between, within = abs(0.7 - 0.2) / 2, (0.2 + 0.1) / 2
    assert found.value == pytest.approx(0.45)
    assert found.error == pytest.approx(np.hypot(between, within))
    alone = scores_of([one], [BEFORE], LENGTHS, early=2)
    assert alone["retention"].error == pytest.approx(0.2)
    assert alone["growth"].error == 0, "there is one weight, and one order"


def test_the_error_of_a_tail_is_that_of_drawing_facts_anew():
    rng = np.random.default_rng(0)
    change = rng.standard_t(4, size=400)

    def tail(numbers):
        after = standing(np.exp(numbers).tolist())
        return watched_scores([after], standing([1.0] * len(numbers)))["watched tail"]

    drawn = [tail(rng.choice(change, len(change))).value for _ in range(300)]
    assert tail(change).value == pytest.approx(np.sort(change)[:40].mean())
    assert tail(change).error == pytest.approx(np.std(drawn), rel=0.25)


def test_counts_of_a_curve_are_those_of_every_order():
    first, second = (look(count, [0.1], [], ([0.8],)) for count in (1, 2))
    curve = Curve("joint", "", True, ((first, second), (first,)))
    assert curve.counts == (1,)
    assert [len(curve.at(count)) for count in (1, 2, 4)] == [2, 1, 0]
    assert Curve("joint", "ridge 1", False, (), "why").counts == ()


def facts(count, relation="P17", start=0):
    return [Fact(n, f"Town {n}", relation, "{} lies in", "Peru", "Chile") for n in range(start, start + count)]


def test_a_plan_edits_each_subject_once_and_watches_the_others():
    known = [*facts(20), replace(facts(1)[0], case_id=99, prompt="{} is a town of")]
    plan = plan_lifelong(3, known, facts(5, "far", start=18), num_edits=10, seed=1)
    edited = {fact.subject for fact in plan.edits}
    assert len(edited) == len(plan.edits) == 10
    assert not edited & {fact.subject for fact in plan.watched}
    assert len(plan.near) == 10, "the second fact of an edited subject is not watched"
    assert len(plan.far) == 5
    assert plan_lifelong(3, known, facts(99, "far", start=50), 10, 1).far[-1].case_id == 148
    assert len(plan_lifelong(3, known, facts(99, "far", start=50), 10, 1).far) == MOST_WATCHED


def test_orders_are_permutations_that_follow_from_the_seed():
    one, same, other = (plan_lifelong(3, facts(20), [], 400, seed) for seed in (1, 1, 2))
    assert len(one.edits) == 19, "a twelfth of the subjects is watched"
    for order in one.orders:
        assert sorted(order.tolist()) == list(range(19))
    assert not np.array_equal(one.orders[0], one.orders[1])
    assert all(map(np.array_equal, one.orders, same.orders))
    assert not np.array_equal(one.orders[0], other.orders[0])
    assert one.counts == (1, 2, 4, 8, 16, 19)
    assert one.frontier == (19,)


def test_too_few_facts_for_a_long_stream_are_refused():
    with pytest.raises(InputError, match=f"400 edits was asked for with 8 usable subjects; expected {FEWEST_EDITS}"):
        plan_lifelong(3, facts(8), [], 400, 0)

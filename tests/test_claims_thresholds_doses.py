"""bound-pairs holds inside its documented thresholds, fails outside, and is undecided across them; long doses too."""

from dataclasses import replace

import numpy as np
import pytest
from planted_claims import facts

from ks_core.claims.bound_pairs import BOUND, FREE
from ks_core.claims.finding import Verdict
from ks_core.claims.registry import CLAIMS
from ks_core.experiments.dose.measure import DoseMeasurement
from ks_core.experiments.dose.response import DoseResponse, joined
from ks_core.experiments.measured import Measured

EDITS = NEIGHBOURS = 20


def response(dose, answer=None, *, predicted=None, overtaken=0.0, relation="P1"):
    """One layer of edits; everything that is not given follows the dose."""
    answer = dose if answer is None else answer
    predicted = dose if predicted is None else predicted
    arrays = {"dose": dose, "response": answer, "predicted": predicted, "kept_predicted": dose, "kept_response": dose}
    arrays |= {"dose_of_half": dose, "response_of_half": answer, "overtaken": np.broadcast_to(overtaken, dose.shape)}
    made = facts(EDITS + NEIGHBOURS).facts
    reached = np.ones((1, EDITS))
    return DoseResponse(
        relation, (1,), made[:EDITS], made[EDITS:], reached, **{n: of[None] for n, of in arrays.items()}
    )


def judged(found, claim="bound-pairs@long"):
    planted = DoseMeasurement(found, 200, 0, {})
    return {of.part: of for of in CLAIMS[claim].judgement(planted)}


def alternating(share):
    """Pairs of which such a share is 1: every edit and every neighbour has as many."""
    places = np.add.outer(np.arange(EDITS), np.arange(NEIGHBOURS)) % EDITS
    return (places < round(share * EDITS)).astype(float)


def noisy(noise):
    rng = np.random.default_rng(0)
    dose = rng.uniform(0, 1, (EDITS, NEIGHBOURS))
    return dose, dose + noise * rng.standard_normal(dose.shape)


NOT_BOUND = np.nextafter(BOUND, 0)
NOT_FREE = np.nextafter(FREE, 1)


@pytest.mark.parametrize(("share", "verdict"), [(0.65, Verdict.HOLDS), (0.5, Verdict.UNDECIDED), (0.35, Verdict.FAILS)])
def test_bound_pairs_are_overtaken_in_most_cases(share, verdict):
    overtaken = alternating(share)
    assert judged(response(np.full(overtaken.shape, BOUND), overtaken=overtaken))["bound"].verdict is verdict
    below = judged(response(np.full(overtaken.shape, NOT_BOUND), overtaken=overtaken))["bound"]
    assert (below.verdict, below.count) == (Verdict.UNDECIDED, 0), "no such pair"


@pytest.mark.parametrize(("share", "verdict"), [(0.0, Verdict.HOLDS), (0.05, Verdict.UNDECIDED), (0.2, Verdict.FAILS)])
@pytest.mark.parametrize("sign", [1, -1])
def test_free_pairs_move_by_a_factor_of_two_in_one_of_twenty_cases_at_most(share, sign, verdict):
    moved = sign * np.where(alternating(share) > 0, 1.01, 0.99) * np.log(2)
    assert judged(response(np.full(moved.shape, sign * FREE), moved))["free"].verdict is verdict
    assert judged(response(np.full(moved.shape, NOT_FREE), moved))["free"].count == 0


@pytest.mark.parametrize(("noise", "verdict"), [(0.3, Verdict.HOLDS), (0.5, Verdict.UNDECIDED), (1.5, Verdict.FAILS)])
def test_doses_and_responses_are_ranked_alike_by_more_than_half(noise, verdict):
    dose, answer = noisy(noise)
    assert judged(response(dose, answer))["dose"].verdict is verdict
    kept = replace(response(dose), kept_response=answer[None])
    assert judged(kept)["kept"].verdict is verdict


def test_the_gradient_is_to_rank_better_than_the_dose():
    dose, answer = noisy(0.5)
    for predicted, verdict in ((answer, Verdict.HOLDS), (dose, Verdict.UNDECIDED), (-answer, Verdict.FAILS)):
        assert judged(response(dose, answer, predicted=predicted))["gradient"].verdict is verdict


def test_relations_are_pooled_and_pairs_between_them_do_not_exist():
    """Two relations of which one alone has bound pairs; all of both count, and nothing else."""
    strong, weak = np.full((EDITS, NEIGHBOURS), 0.9), np.full((EDITS, NEIGHBOURS), 0.1)
    found = judged(joined([response(strong, overtaken=1.0), response(weak, relation="P2")]))
    assert found["bound"].relation == "P1, P2"
    assert (found["dose"].count, found["bound"].count, found["free"].count) == (800, 400, 0)
    assert (found["bound"].value, found["bound"].verdict) == (1.0, Verdict.HOLDS)


def test_more_edits_decide_what_few_leave_open():
    """The starved row: the same share of bound pairs that are overtaken, of a dozen pairs and of many."""
    few = np.full((EDITS, NEIGHBOURS), 0.1)
    few[:4, :3] = 0.9
    overtaken = np.where(np.add.outer(np.arange(EDITS), np.arange(NEIGHBOURS)) % 4 == 0, 0.0, 1.0)
    assert judged(response(few, overtaken=overtaken), "bound-pairs")["bound"].verdict is Verdict.UNDECIDED
    many = np.full((EDITS, NEIGHBOURS), 0.9)
    assert judged(response(many, overtaken=overtaken))["bound"].verdict is Verdict.HOLDS


def test_a_long_dose_is_judged_as_a_short_one(measurement):
    """With the same bounds and verdicts under another variant."""
    dose, answer = noisy(0.3)
    measured = DoseMeasurement(response(dose, answer), 200, 0, {})
    both = Measured(measurement, dose=measured, long_dose=measured)
    short, long = (CLAIMS[name].judge(both) for name in ("bound-pairs", "bound-pairs@long"))
    assert [(of.part, of.judged.bound, of.verdict) for of in long] == [
        (of.part, of.judged.bound, of.verdict) for of in short
    ]
    assert {of.variant for of in long} == {"long"}

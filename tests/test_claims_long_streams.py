"""Claims about long streams hold inside their documented thresholds, fail outside, and are undecided across them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from planted_claims import Line, cases, number, verdict_on
from planted_lifelong import (
    EDITS,
    FAR,
    METHODS,
    NEAR,
    TEXTS,
    acting,
    fading,
    halved,
    plan,
    planted_lifelong,
    with_curves,
)

from ks_core.claims.finding import NotApplicable, Verdict
from ks_core.claims.registry import CLAIMS
from ks_core.experiments.lifelong.look import Curve
from ks_core.experiments.measured import Measured

WATCHED = NEAR + FAR
QUARTER = EDITS // 4


@pytest.fixture(scope="module")
def measured(measurement):
    return Measured(measurement, lifelong=planted_lifelong())


def scattered(value, spread, count):
    """So many numbers around a mean, whose 95 % interval reaches about `spread` either way."""
    return value + spread * np.sqrt(count) / 2 * np.tile([1.0, -1.0], count // 2)


# --- planters: of long streams, a number and its spread ---------------------------------------------------------------


def kept(lifelong, value, spread):
    """By joint edits, of the first quarter at the end; before, and by all others, it is the other way round."""

    def joint(_, edits):
        if edits < EDITS:
            return {"kept": 0.5 - np.sign(value) * 0.3}
        return {"kept": 0.5 + scattered(value, spread, QUARTER)}

    return with_curves(lifelong, joint=joint, sequential=lambda *_: {"kept": 0.5}, protected=lambda *_: {"kept": 0.9})


def damage(lifelong, value, _):
    """As shares are of 32 facts, what is off by more facts than one leaves no doubt; one fact does."""
    steps = {-1: -8, 0: 1, 1: 8}[int(np.sign(round(value, 3)))]
    change = halved(0.5 + steps / WATCHED)
    return with_curves(lifelong, joint=lambda *_: {"change": change}, sequential=lambda *_: {"change": halved(0.5)})


def locality(lifelong, value, _):
    """Of eight prompts of each order protected edits leave four more intact than sequential ones, or one, or none."""
    intact = {-1: 1, 0: 4, 1: 8}[int(np.sign(round(value, 3)))]

    def leads(count):
        return lambda _, edits: {"neighbourhood": np.where(np.arange(min(8, edits)) < count, 1.0, -1.0)}

    return with_curves(lifelong, protected=leads(intact), sequential=leads(4))


def perplexity(lifelong, value, spread):
    rise = scattered(value, spread, TEXTS)
    even = replace(lifelong, text_lengths=np.ones(TEXTS))
    return with_curves(even, sequential=lambda *_: {"rise": rise}, joint=lambda *_: {"rise": -np.sign(value)})


def exponent(lifelong, value, spread):
    return replace(lifelong, growth=replace(lifelong.growth, exponent=number(1 + value, spread)))


def earlier(lifelong, value, spread):
    return replace(lifelong, growth=replace(lifelong.growth, earlier=number(value, spread)))


def everywhere_and_at_the_subject(lifelong, value, _):
    """More facts are halved everywhere than at the subject, fewer, or as many but not the same."""
    subject = {-1: halved(0.75), 0: halved(0.5)[::-1], 1: halved(0.25)}[int(np.sign(round(value, 3)))]
    return replace(lifelong, acting=(acting(lifelong.plan, "sequential", halved(0.5), subject, 0.0),))


def explained(lifelong, value, spread):
    """The subject alone leaves (1 - value) of each square of the change."""
    left = scattered(1 - value, spread, WATCHED)
    everywhere = np.tile([1.0, 1.0, -1.0, -1.0], WATCHED // 4)
    subject = everywhere * (1 - np.sqrt(left))
    return replace(lifelong, acting=(acting(lifelong.plan, "sequential", everywhere, subject, 0.0),))


LINES = {
    "methods:retention@long": (kept, Line("above", 0.0, 0.01)),
    "methods:damage@long": (damage, Line("above", 0.0, 0.01)),
    "methods:locality@long": (locality, Line("above", 0.0, 0.02)),
    "methods:perplexity@long": (perplexity, Line("above", 0.0, 0.01)),
    "accumulation:linear@long": (exponent, Line("within", 0.25, 0.01)),
    "accumulation:earlier@long": (earlier, Line("above", 0.0, 0.01)),
    "every-token:halved@sequential": (everywhere_and_at_the_subject, Line("above", 0.0, 0.01)),
    "every-token:share@sequential": (explained, Line("above", 0.5, 0.02)),
}


@pytest.mark.parametrize(("finding", "plant", "value", "spread", "verdict"), cases(LINES))
def test_claim_about_long_streams_turns_at_its_threshold(measured, finding, plant, value, spread, verdict):
    planted = replace(measured, lifelong=plant(measured.lifelong, value, spread))
    assert verdict_on(planted, finding) is verdict


def found(lifelong, claim):
    return {finding.id: finding for finding in CLAIMS[claim].judgement(lifelong)}


# --- methods ----------------------------------------------------------------------------------------------------------


def test_retention_counts_each_edit_of_a_first_quarter_once_in_every_order():
    """Against the mean over orders by hand; the count is of edits, which orders share."""
    lifelong = planted_lifelong()
    finding = found(lifelong, "methods@long")["methods:retention@long"]
    scores = {name: lifelong.scores(lifelong.curve(name), EDITS)["retention"].value for name in ("joint", "sequential")}
    assert finding.value == pytest.approx(scores["joint"] - scores["sequential"])
    assert finding.references[0].value == pytest.approx(scores["sequential"])
    early = {int(edit) for order in lifelong.plan.orders for edit in order[:QUARTER]}
    assert (finding.count, finding.edits) == (len(early), EDITS)


def test_orders_that_disagree_leave_a_claim_undecided():
    """In one order joint edits break far more, in another far fewer: facts alone would not tell."""
    by_order = (halved(1.0), halved(0.2), halved(0.9))
    lifelong = with_curves(
        planted_lifelong(),
        joint=lambda order, _: {"change": by_order[order]},
        sequential=lambda *_: {"change": halved(0.5)},
    )
    finding = found(lifelong, "methods@long")["methods:damage@long"]
    assert finding.value == pytest.approx(0.2, abs=0.02)
    assert finding.verdict is Verdict.UNDECIDED
    alone = replace(lifelong, before=lifelong.before[:1], plan=replace(lifelong.plan, orders=lifelong.plan.orders[:1]))
    assert found(alone, "methods@long")["methods:damage@long"].verdict is Verdict.HOLDS


@pytest.mark.parametrize("lost", ["all", "the end"])
def test_a_method_that_did_not_get_to_the_end_leaves_its_numbers_unknown(lost):
    """And those without it are judged."""
    lifelong = planted_lifelong()
    looks = tuple(of[:-1] for of in lifelong.curve("joint").looks) if lost == "the end" else ()
    curves = [of for of in lifelong.curves if of.method != "joint"]
    broken = replace(lifelong, curves=(*curves, Curve("joint", "", True, looks, "more edits than directions")))
    findings = found(broken, "methods@long")
    for part in ("retention", "damage"):
        assert math.isnan(findings[f"methods:{part}@long"].value)
        assert findings[f"methods:{part}@long"].verdict is Verdict.UNDECIDED
    assert not math.isnan(findings["methods:locality@long"].value)


def test_an_order_that_was_not_finished_is_left_out():
    """One of three; the number is that of the two others."""
    whole = planted_lifelong()
    joint = whole.curve("joint")
    cut = replace(joint, looks=(joint.looks[0], joint.looks[1][:-1], joint.looks[2]))
    lifelong = replace(whole, curves=tuple(cut if of is joint else of for of in whole.curves))
    kept_by = {
        name: [float(look.early.log_probability.exp().mean()) for look in lifelong.curve(name).at(EDITS)]
        for name in ("joint", "sequential")
    }
    expected = np.mean(kept_by["joint"]) - np.mean([kept_by["sequential"][order] for order in (0, 2)])
    assert found(lifelong, "methods@long")["methods:retention@long"].value == pytest.approx(expected)


# --- every token ------------------------------------------------------------------------------------------------------


def test_what_is_explained_is_one_where_the_subject_is_all_and_nothing_for_no_change():
    worst = np.linspace(-1.0, -0.1, WATCHED)
    share = np.linspace(0.9, 0.1, WATCHED)
    for at_subject, elsewhere, expected in ((worst, 0.0, (1, 0)), (0.0, worst, (0, 1)), (2 * worst, 0.0, (0, 0))):
        one = acting(plan(), "sequential", worst, at_subject, elsewhere, share)
        finding = found(planted_lifelong(acting=(one,)), "every-token")["every-token:share@sequential"]
        assert (finding.value, finding.references[0].value) == pytest.approx(expected)
        assert finding.references[1].value == pytest.approx(1.0), "what loses most has the largest share"


def test_where_edits_act_is_judged_by_method():
    both = tuple(acting(plan(), name, -1.0, -0.5, -0.5) for name in ("sequential", "joint"))
    assert set(found(planted_lifelong(acting=both), "every-token")) == {
        f"every-token:{part}@{name}" for part in ("halved", "share") for name in ("sequential", "joint")
    }
    assert isinstance(CLAIMS["every-token"].judgement(planted_lifelong(acting=())), NotApplicable)


def test_findings_of_long_streams_have_names_of_their_own():
    lifelong = planted_lifelong({name: fading(3.0, 0.8) for name in METHODS})
    claims = [claim for claim in CLAIMS.values() if claim.needs == "lifelong"]
    ids = [finding.id for claim in claims for finding in claim.judgement(lifelong)]
    assert len(ids) == len(set(ids)) == 12
    assert all(claim.gate == "baseline" for claim in claims)

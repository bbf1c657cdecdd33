"""What would decide an undecided number is enough, and hardly less is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import t as student

from ks_core.claims.capacity import spread
from ks_core.claims.deciding import BEYOND_REASON, MOST_COUNTED, Needed, needed, what_would_decide
from ks_core.claims.finding import Bound, Finding, Judged, Reference, Verdict
from ks_core.claims.judging import judge_every, judge_number
from ks_core.statistics.estimate import Replicates

BOUNDS = (Bound("above", 3.0), Bound("below", -1.0), Bound("within", 0.5, centre=2.0))
CLEARLY_FEWER = 1.3
"""Rounding up adds a quarter to a factor at most; of so much fewer none is enough."""

positive = st.floats(0.01, 3.0)


@st.composite
def numbers(draw, places=()):
    """A number (one a place) with skewed errors over facts, and one over text, whose error may be nothing."""
    shape = tuple(places)
    value = np.array(draw(st.lists(st.floats(-3, 5), min_size=math.prod(shape), max_size=math.prod(shape)))).reshape(
        shape
    )
    samples = np.random.default_rng(draw(st.integers(0, 99))).gamma(draw(st.floats(0.5, 9)), size=(60, *shape))
    facts = value + draw(st.sampled_from([-1, 1])) * draw(positive) * (samples - samples.mean(axis=0))
    off = draw(st.one_of(st.just(0.0), positive))
    return Replicates(value, facts, np.stack([value - off, value + off]))


def with_more(of, text, facts):
    """The number whose errors are those of so many times the text and the facts, its value where it was."""
    return Replicates(
        of.value, of.value + (of.facts - of.value) / math.sqrt(facts), of.value + (of.text - of.value) / math.sqrt(text)
    )


def undecided(estimate, bound):
    """What is needed of a finding of one number, which must be undecided and not beyond counting."""
    judged = judge_number(estimate, bound)
    assume(judged.verdict is Verdict.UNDECIDED)
    found = needed(Finding("mine", "a number", judged, count=60))
    assume(found.cost < 1e6)
    return found


@given(numbers(), st.sampled_from(BOUNDS))
def test_what_is_named_decides_and_clearly_less_does_not(estimate, bound):
    found = undecided(estimate, bound)
    assert judge_number(with_more(estimate, found.text, found.others), bound).verdict is not Verdict.UNDECIDED
    fewer = (max(1.0, of / CLEARLY_FEWER) for of in (found.text, found.others))
    assert judge_number(with_more(estimate, *fewer), bound).verdict is Verdict.UNDECIDED


@given(numbers(), st.sampled_from(BOUNDS))
def test_no_other_split_costs_much_less(estimate, bound):
    """An oracle that tries many: 1.2 is what one factor alone may cost more, 1.25 what rounding up adds."""
    found = undecided(estimate, bound)
    most = min(found.cost, 1e4)
    tried = np.geomspace(1, most, 12)
    decides = [
        t + f
        for t in tried
        for f in tried
        if t + f < most / (1.2 * 1.25)
        and judge_number(with_more(estimate, t, f), bound).verdict is not Verdict.UNDECIDED
    ]
    assert not decides


@given(numbers(places=[4]), st.sampled_from(BOUNDS))
def test_that_one_place_of_several_breaks_a_claim_is_decided_by_what_is_named(estimate, bound):
    """Its interval is that of all places at once; that the weakest holds is the least that is needed."""
    place, judged = judge_every(estimate, bound)
    assume(judged.verdict is Verdict.UNDECIDED)
    found = needed(Finding("mine", "a number", judged, count=60, layers=(0, 1, 2, 3), layer=place))
    assume(found.cost < 1e6)
    more = with_more(estimate, found.text, found.others)
    if bound.margin(judged.value, judged.value) > 0:
        assert found.at_least
        assert judge_number(Replicates(*(of[..., place] for of in vars(more).values())), bound).verdict is Verdict.HOLDS
    else:
        assert not found.at_least
        assert judge_every(more, bound)[1].verdict is Verdict.FAILS


@given(st.floats(0.1, 2.0), st.integers(4, 40))
def test_so_many_models_decide_on_their_spread_and_one_fewer_do_not(value, count):
    bound = Bound("below", 0.5)

    def interval(models):
        _, low, high = spread(np.array([-1.0, 1.0] * (models // 2) + [0.0] * (models % 2)))
        scale = value / np.std([-1.0, 1.0] * (models // 2) + [0.0] * (models % 2), ddof=1)
        return low * scale, high * scale

    judged = Judged(value, 0.1, 0.0, interval(count), bound, bound.judge(*interval(count)))
    assume(judged.verdict is Verdict.UNDECIDED)
    found = needed(Finding("capacity", "spread", judged, count=count, counted="models (not: seeds of mine)"))
    assume(found.cost < MOST_COUNTED)
    assert bound.judge(*interval(found.count)) is not Verdict.UNDECIDED
    assert found.count == count + 1 or bound.judge(*interval(found.count - 1)) is Verdict.UNDECIDED


def over_seeds(value, own_arm, over, count):
    """A finding over seeds, whose interval is made as the claim makes it."""
    reach = math.hypot(own_arm, float(student.ppf(0.975, count - 1)) * over)
    ends, bound = (value - reach, value + reach), Bound("above", 0.0)
    judged = Judged(value, over, 0.0, ends, bound, bound.judge(*ends), ends)
    spread_of_seeds = (Reference("spread between seeds", over),)
    return Finding("scaling", "x", judged, count, "seeds of 3 sizes each", depth="last", references=spread_of_seeds)


@given(st.floats(-1, 1), positive, positive, st.integers(2, 5))
def test_so_many_seeds_and_facts_decide_and_one_seed_fewer_does_not(value, own_arm, over, count):
    finding = over_seeds(value, own_arm, over, count)
    assume(finding.verdict is Verdict.UNDECIDED)
    found = needed(finding)
    assume(found.cost < MOST_COUNTED)

    def then(seeds):
        return over_seeds(value, own_arm / math.sqrt(found.others), over * math.sqrt(count / seeds), seeds).verdict

    assert then(found.count) is not Verdict.UNDECIDED
    if found.others == 1 and found.count > count + 1:
        assert then(found.count - 1) is Verdict.UNDECIDED


def judged(value, facts, text, interval, bound=BOUNDS[0]):
    return Judged(value, facts, text, interval, bound, Verdict.UNDECIDED)


WORDS = {
    "text alone": (judged(4.0, 0.0, 1.0, (2.1, 5.9)), {}, "3.7 × the text"),
    "facts alone": (judged(4.0, 1.2, 0.0, (1.6, 6.4)), {}, "6 × the facts"),
    "both": (judged(4.0, 1.0, 1.0, (4 - math.sqrt(8), 4 + math.sqrt(8))), {}, "9 × the text and 9 × the facts"),
    "layers": (judged(4.0, 1.2, 0.0, (1.6, 6.4)), {"layers": (0, 1)}, "at least 6 × the facts"),
    "mean of layers": (judged(4.0, 1.2, 0.0, (1.6, 6.4)), {"layers": (0, 1), "across": "mean"}, "6 × the facts"),
    "too near": (judged(3.1, 1.0, 0.0, (1.1, 5.1)), {}, "too near to its threshold (needs 410 × the facts)"),
    "far too near": (
        judged(3.001, 1.0, 0.0, (1.1, 5.1)),
        {},
        "too near to its threshold (needs over 10,000 × the facts)",
    ),
    "at it": (judged(3.0, 1.0, 0.0, (1.1, 5.1)), {}, "too near to its threshold (it is at it)"),
    "small models": (judged(3.1, 1.0, 0.0, (1.1, 5.1)), {"depth": "last"}, "not decidable with models this small"),
    "undefined": (
        judged(1.0, math.nan, 0.0, (math.nan, math.nan)),
        {"counted": "pairs of edit and other fact"},
        "more edits, as some samples leave it undefined",
    ),
    "nothing": (
        judged(math.nan, math.nan, math.nan, (math.nan, math.nan)),
        {"counted": "things"},
        "more data, as some samples leave it undefined",
    ),
    "no reason seen": (judged(4.0, 0.1, 0.0, (3.8, 4.2)), {}, "more facts"),
    "grain": (judged(3.5, 0.4, 0.0, (2.9, 4.2)), {"grain": 2.0}, "5 × the facts"),
}


@pytest.mark.parametrize(("of", "more", "words"), WORDS.values(), ids=WORDS)
def test_words(of, more, words):
    finding = replace(Finding("mine", "a number", of, count=8), **more)
    assert what_would_decide(finding) == words
    assert len(needed(finding).short) <= len(words)


@pytest.mark.parametrize("verdict", [Verdict.HOLDS, Verdict.FAILS])
def test_what_is_decided_needs_nothing(verdict):
    finding = Finding("mine", "a number", replace(judged(4.0, 0.1, 0.0, (3.8, 4.2)), verdict=verdict), count=8)
    assert what_would_decide(finding) == ""
    assert needed(finding) is None


def test_a_factor_beyond_reason_is_said_to_be_so():
    assert Needed(1.0, BEYOND_REASON, "facts").sentence == "100 × the facts"
    assert Needed(1.0, BEYOND_REASON + 1, "facts").short == "too near: 101 × facts"


def test_results_of_an_older_version_say_at_least():
    """They have no interval of all places at once."""
    of = replace(judged(2.0, 0.6, 0.0, (0.8, 3.2)), familywise=None)
    finding = Finding("mine", "a number", of, count=8, layers=(0, 1))
    assert what_would_decide(finding) == "at least 1.5 × the facts"
    exact = replace(finding, judged=replace(of, familywise=(0.5, 3.5)))
    assert what_would_decide(exact) == "2.3 × the facts"


def test_what_stands_out_alone_and_not_among_all_says_why_it_is_undecided():
    """Its own interval is clear of the threshold; that of all layers is not, or is not known."""
    of = Judged(3.9, 0.15, 0.0, (3.6, 4.2), Bound("within", 0.5, centre=3.0), Verdict.UNDECIDED, (2.0, 4.2))
    finding = Finding("mine", "a number", of, count=8, layers=(0, 1), layer=1)
    assert what_would_decide(finding).endswith(" × the facts: it stands out alone, not among all layers")
    unknown = replace(finding, judged=replace(of, familywise=None))
    assert what_would_decide(unknown) == "more facts: it stands out alone, not among all layers"
    assert needed(unknown).short == "alone, not among all"
    depths = replace(unknown, layers=(), depth="last")
    assert what_would_decide(depths) == "more facts: it stands out alone, not among all depths"


def test_the_shortest_keeps_units_and_leaves_out_what_is_beyond_reason():
    assert Needed(37.0, 41.0, "orders and samples").shortest == "37 × text, 41 × orders"
    assert Needed(54.0, 600.0, "edits").shortest == "too near"
    assert Needed(1.0, 600.0, "facts", is_of_sizes=True).shortest == "models too small"

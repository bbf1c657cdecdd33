"""Claims about pairs hold inside their documented thresholds, fail outside, and are undecided across them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from planted_claims import Line, by_layer, cases, facts, in_one_layer, number, verdict_on, with_facts, with_statistics

from ks_core.claims.finding import NotApplicable, Verdict
from ks_core.claims.registry import CLAIMS
from ks_core.experiments.measured import Measured
from ks_core.statistics.null import NullStatistic

CHANCE, QUANTILE = 0.10, 0.13
"""Planted root mean square of random keys' cosines, and what 5 % of random sets of keys exceed."""

GAUSSIAN_BEYOND_4 = math.erfc(4 / math.sqrt(2))
LAPLACE_BEYOND_4 = math.exp(-4 * math.sqrt(2))
"""Shares of a distribution that lie further than four standard deviations from its mean."""


def universal(measurement, value, spread):
    null = {**measurement.null["whitened_cosine"], "rms": NullStatistic(CHANCE, 0.01, QUANTILE)}
    chance = replace(measurement, null={**measurement.null, "whitened_cosine": null})
    return in_one_layer("whitened_cosine", "rms", 0.9)(chance, value, spread)


def in_deviations(name):
    def plant(measurement, value, spread):
        wide = with_statistics(measurement, "P", std=by_layer(number(3.0), number(3.0)))
        return in_one_layer("P", name, 0.0)(wide, 3.0 * value, 3.0 * spread)

    return plant


def heavy_tail(measurement, value, spread):
    many = with_facts(measurement, measured=facts(64))
    return in_one_layer("P", "tail_ratio", 200.0)(many, value, spread)


def early_minus_late(measurement, value, spread):
    """Seven layers, of which the two first and the two last count."""
    layers = tuple(replace(measurement.pairs[0], layer=layer) for layer in range(7))
    between = [number(other) for other in (-1000.0, 1000.0, 1000.0)]
    early, late = [number(5.0 + value, spread)] * 2, [number(5.0)] * 2
    return with_statistics(replace(measurement, pairs=layers), "P", kurtosis=by_layer(*early, *between, *late))


LINES = {
    "universal": (universal, Line("above", QUANTILE, 0.005)),
    "zero-mean:mean": (in_deviations("mean"), Line("within", 0.2, 0.01)),
    "zero-mean:mode": (in_deviations("mode"), Line("within", 0.2, 0.01)),
    "kurtosis": (in_one_layer("P", "kurtosis", 30.0), Line("above", 3.0, 0.1)),
    "heavy-tail": (heavy_tail, Line("above", 55.0, 1.0)),
    "layers": (early_minus_late, Line("above", 0.0, 0.01)),
    "whitened-angles:whitened": (in_one_layer("whitened_cosine", "near_right_angle", 0.9), Line("above", 0.5, 0.02)),
    "whitened-angles:activation": (
        in_one_layer("activation_cosine", "near_right_angle", 0.1),
        Line("below", 0.5, 0.02),
    ),
}


@pytest.mark.parametrize(("finding", "plant", "value", "spread", "verdict"), cases(LINES))
def test_claim_about_pairs_turns_at_its_threshold(measurement, finding, plant, value, spread, verdict):
    assert verdict_on(Measured(plant(measurement, value, spread)), finding) is verdict


def test_the_line_of_heavy_tails_is_a_laplace_distribution(measurement):
    ratio = LAPLACE_BEYOND_4 / GAUSSIAN_BEYOND_4
    for value, verdict in ((ratio * 1.001, Verdict.HOLDS), (ratio * 0.999, Verdict.FAILS)):
        assert verdict_on(Measured(heavy_tail(measurement, value, 0.0)), "heavy-tail") is verdict


@pytest.mark.parametrize(("count", "is_judged"), [(54, False), (55, True)])
def test_heavy_tails_take_ten_entries_of_a_laplace_distribution(measurement, count, is_judged):
    assert (LAPLACE_BEYOND_4 * count * (count - 1) > 10) is is_judged
    outcome = CLAIMS["heavy-tail"].judge(Measured(with_facts(measurement, measured=facts(count))))
    assert isinstance(outcome, NotApplicable) is not is_judged


@pytest.mark.parametrize(("count", "is_judged"), [(2, False), (3, True)])
def test_early_and_late_take_three_layers(measurement, count, is_judged):
    planted = early_minus_late(measurement, 1.0, 0.0)
    kurtosis = by_layer(*[number(float(-layer)) for layer in range(count)])
    few = with_statistics(replace(planted, pairs=planted.pairs[:count]), "P", kurtosis=kurtosis)
    assert isinstance(CLAIMS["layers"].judge(Measured(few)), NotApplicable) is not is_judged


# --- semantic pairs ---------------------------------------------------------------------------------------------------

TOWNS = 16
IN_FRANCE = 8
"""Facts with one object, which are related: 56 entries of 240."""


def with_related(count):
    """P whose 20 largest entries have so many between related facts, and the 20 after them as many of the others."""
    related = np.zeros((TOWNS, TOWNS), dtype=bool)
    related[:IN_FRANCE, :IN_FRANCE] = True
    off = ~np.eye(TOWNS, dtype=bool)
    kinds = {kind: list(zip(*np.nonzero(off & (related == kind)), strict=True)) for kind in (True, False)}
    order = [kinds[place < count].pop() for place in range(20)] + [kinds[place >= count].pop() for place in range(20)]
    matrix = np.zeros((TOWNS, TOWNS))
    for height, (i, j) in enumerate(reversed(order), start=1):
        matrix[i, j] = height
    return matrix


def with_matrices(measurement, plant, whole, halves):
    """Two layers with a planted P each, from all the text and from its halves; no error over facts."""
    pairs = tuple(
        replace(
            of,
            matrices={**of.matrices, "P": plant(whole[layer])},
            halves=tuple({**of.halves[half], "P": plant(halves[half][layer])} for half in (0, 1)),
        )
        for layer, of in enumerate(measurement.pairs)
    )
    towns = facts(TOWNS, lambda n: "France" if n < IN_FRANCE else f"Land{n}")
    weights = np.ones((40, TOWNS), dtype=np.int64)
    return replace(with_facts(measurement, measured=towns), pairs=pairs, weights=weights)


@pytest.mark.parametrize(
    ("whole", "halves", "verdict"),
    [
        ((20, 2), ((20, 2), (20, 2)), Verdict.HOLDS),  # 22 of 40, though only 2 of 20 in one layer
        ((18, 0), ((18, 0), (18, 0)), Verdict.FAILS),
        ((14, 8), ((16, 10), (12, 6)), Verdict.UNDECIDED),
        ((12, 6), ((14, 8), (10, 4)), Verdict.UNDECIDED),
    ],
)
def test_semantic_pairs_turn_at_half_of_the_twenty_largest(measurement, whole, halves, verdict):
    assert verdict_on(Measured(with_matrices(measurement, with_related, whole, halves)), "semantic-pairs") is verdict


# --- related pairs ----------------------------------------------------------------------------------------------------


def ranked(share):
    """P where a related entry is larger than so large a share of the others: those are 1 to 184 in some order."""
    related = np.zeros((TOWNS, TOWNS), dtype=bool)
    related[:IN_FRANCE, :IN_FRANCE] = True
    others = np.nonzero(~np.eye(TOWNS, dtype=bool) & ~related)
    matrix = np.where(related, share * len(others[0]) + 0.5, 0.0)
    matrix[others] = np.random.default_rng(0).permutation(len(others[0])) + 1.0
    return matrix


@pytest.mark.parametrize(
    ("layers", "halves", "verdict"),
    [
        ((0.3, 0.74), ((0.3, 0.74), (0.3, 0.74)), Verdict.HOLDS),  # 0.52, though not in one layer
        ((0.7, 0.26), ((0.7, 0.26), (0.7, 0.26)), Verdict.FAILS),
        ((0.5, 0.54), ((0.6, 0.64), (0.4, 0.44)), Verdict.UNDECIDED),
    ],
)
def test_related_pairs_turn_at_chance(measurement, layers, halves, verdict):
    planted = with_matrices(measurement, ranked, layers, halves)
    assert verdict_on(Measured(planted), "related-pairs") is verdict


def test_related_pairs_are_as_good_as_chance_where_facts_are_exchanged(measurement):
    """The planted fault: facts that have nothing to do with their P, over whose samples the chance is half."""
    planted = with_matrices(measurement, ranked, (0.9, 0.9), ((0.9, 0.9), (0.9, 0.9)))
    blind = [replace(of, matrices={"P": np.random.default_rng(n).random((TOWNS, TOWNS))}) for n, of in
             enumerate(planted.pairs)]  # fmt: skip
    weights = np.random.default_rng(0).multinomial(TOWNS, np.full(TOWNS, 1 / TOWNS), size=40)
    (found,) = CLAIMS["related-pairs"].judge(Measured(replace(planted, pairs=tuple(blind), weights=weights)))
    assert found.verdict is Verdict.UNDECIDED
    assert found.references[0].value == pytest.approx(0.5, abs=0.02)
    assert 0 < found.references[0].error < 0.1


def test_related_pairs_take_pairs_of_both_kinds(measurement):
    for lands in (lambda n: f"Land{n}", lambda _: "France"):
        alike = with_facts(measurement, measured=facts(len(measurement.selection.measured), lands))
        outcome = CLAIMS["related-pairs"].judge(Measured(alike))
        assert isinstance(outcome, NotApplicable)
        assert "expected pairs of both kinds" in outcome.reason


# --- enough facts -----------------------------------------------------------------------------------------------------


def ring(count, height):
    """Entries of ±1, and one larger entry for each fact: fewer facts have as large a share of these."""
    matrix = np.random.default_rng(0).choice([-1.0, 1.0], (count, count))
    matrix[np.arange(count), (np.arange(count) + 1) % count] = height
    return matrix


def log_normal(count, sigma):
    """Heavy tails, whose kurtosis rises with the number of entries."""
    return np.exp(sigma * np.random.default_rng(1).standard_normal((count, count)))


def with_pool(measurement, pool):
    """Every layer with one P of the pool, from all the text and from its halves."""
    layers = (
        replace(of, pool=pool, halves=tuple({**half, "pool": pool} for half in of.halves)) for of in measurement.pairs
    )
    return Measured(replace(with_facts(measurement, pool=facts(len(pool))), pairs=tuple(layers)))


@pytest.mark.parametrize(
    ("pool", "low", "high", "verdict"),
    [
        (ring(80, 5.0), -0.06, 0.06, Verdict.HOLDS),
        (log_normal(128, 0.8), -0.09, 0.15, Verdict.UNDECIDED),
        (ring(40, 20.0), -0.24, 0.02, Verdict.UNDECIDED),
        (log_normal(40, 3.0), 0.12, 0.87, Verdict.FAILS),
    ],
    ids=("inside", "across above", "across below", "outside"),
)
def test_enough_facts_turn_at_a_tenth(measurement, pool, low, high, verdict):
    """Pools of which the change from half of the facts to all of them lies between `low` and `high`."""
    (found,) = CLAIMS["enough-facts"].judge(with_pool(measurement, pool))
    assert found.judged.interval == pytest.approx((low, high), abs=0.01)
    assert found.verdict is verdict


@pytest.mark.parametrize(("count", "is_judged"), [(5, False), (6, True)])
def test_enough_facts_take_three_in_each_half(measurement, count, is_judged):
    outcome = CLAIMS["enough-facts"].judge(with_pool(measurement, log_normal(count, 1.0)))
    assert isinstance(outcome, NotApplicable) is not is_judged

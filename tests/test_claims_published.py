"""GPT2-small's published numbers as a gate, on a stand-in: numbers that agree do, and each planted fault is named."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stand_in import SHAPE, write_stand_ins

from ks_core.claims.comparison import findings_of
from ks_core.claims.finding import Verdict
from ks_core.claims.gpt2_small import (
    compare_inner_products,
    compare_superposition,
    not_comparable,
    text_not_comparable,
)
from ks_core.data.published_numbers import PublishedEntry, known_case_ids, published_gpt2_small
from ks_core.experiments.pairs.measure import measure
from ks_core.experiments.request import selection
from ks_core.experiments.request.settings import Settings
from ks_core.measurement import keys
from ks_core.measurement.subjects import subject_rows
from ks_core.statistics.summaries import summarise

ROOT = Path(__file__).parent.parent
LAYERS = (0, 5, 11)
CORNER = (0, 1, 2, 125, 126, 127)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("stand_in")


@pytest.fixture(scope="module")
def inputs(folder):
    return write_stand_ins(folder)


@pytest.fixture(scope="module")
def taken(folder, inputs):
    """A measurement of the stand-in through the true code path; only the shape that tells GPT2-small is its own."""

    def run(**changed):
        given = {"layers": LAYERS, "tokens": 3200, "resamples": 40} | changed
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(selection, "GPT2_SMALL_SHAPE", SHAPE)
            patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
            return measure(Settings(**inputs, **given))

    return run


@pytest.fixture(autouse=True)
def _little_text_is_enough(monkeypatch):
    monkeypatch.setattr("ks_core.claims.gpt2_small.FEWEST_TOKENS", 3200)


@pytest.fixture(scope="module")
def measured(taken):
    return taken()


@pytest.fixture(scope="module")
def numbers(measured):
    """What the authors would have published had they measured the stand-in; of other layers nothing is known."""
    of_layers = {pairs.layer: pairs.matrices for pairs in measured.pairs}

    def by_layer(number):
        return tuple(float(number(of_layers[layer])) if layer in LAYERS else math.nan for layer in range(12))

    def entries(matrix, places):
        return tuple(PublishedEntry(row, column, float(matrix[row, column])) for row, column in places)

    p, q = of_layers[0]["P"], of_layers[0]["Q"]
    ordered = {(row, column): p[row, column] for row in range(128) for column in range(128) if row != column}
    unordered = {(row, column): q[row, column] for row in range(128) for column in range(row + 1, 128)}
    return replace(
        published_gpt2_small(),
        p_kurtosis=by_layer(lambda of: summarise(of["P"])["kurtosis"]),
        q_kurtosis=by_layer(lambda of: summarise(of["Q"])["kurtosis"]),
        p_mean=by_layer(lambda of: summarise(of["P"])["mean"]),
        p_std=by_layer(lambda of: summarise(of["P"])["std"]),
        p_min=by_layer(lambda of: summarise(of["P"])["min"]),
        p_max=by_layer(lambda of: summarise(of["P"])["max"]),
        p_share_above_tenth=by_layer(lambda of: summarise(of["P"])["share_above"]),
        q_offdiagonal_mean=by_layer(lambda of: summarise(of["Q"])["mean"]),
        q_diagonal_mean=by_layer(lambda of: np.diag(of["Q"]).mean()),
        p_layer0_largest=entries(p, sorted(ordered, key=ordered.get)[:-21:-1]),
        q_layer0_largest=entries(q, sorted(unordered, key=unordered.get)[:-11:-1]),
        p_layer0_printed=entries(p, [(row, column) for row in CORNER for column in CORNER]),
        q_layer0_printed=entries(q, [(row, column) for row in CORNER for column in CORNER if row <= column]),
    )


def compared(measured, numbers):
    return compare_inner_products(measured, numbers) + compare_superposition(measured, numbers)


def off(measured, numbers):
    return [found for found in compared(measured, numbers) if not found.agrees]


def with_matrix(measured, name, changed):
    """The measurement with another matrix at layer 0, in all the text and in its halves; statistics as they were."""
    first = measured.pairs[0]
    halves = tuple({**half, name: changed(half[name])} if name in half else half for half in first.halves)
    matrices = {**first.matrices, name: changed(first.matrices[name])}
    return replace(measured, pairs=(replace(first, matrices=matrices, halves=halves), *measured.pairs[1:]))


def test_the_stand_in_can_be_compared_and_agrees_with_its_own_numbers(measured, numbers):
    assert not_comparable(measured, numbers) is None
    assert text_not_comparable(measured) is None
    found = compared(measured, numbers)
    assert [str(of) for of in found if not of.agrees] == []
    assert len(found) == 1 + 3 * 3 + 10 + 21 + 1 + 6 * 3 + 20 + 30 + 1, "each number once"
    assert all(math.isfinite(of.tolerance) and of.tolerance >= 0 and of.why for of in found)


def test_facts_are_measured_in_the_published_order(measured):
    assert tuple(fact.case_id for fact in measured.selection.measured) == known_case_ids()[:128]


def test_layers_that_were_not_measured_are_left_out(taken, numbers):
    found = compared(taken(layers=(5,)), numbers)
    assert {of.where for of in found if of.quantity != "subjects"} == {"layer 5"}
    assert all(of.agrees for of in found)


FIELDS = {
    "kurtosis of P": "p_kurtosis",
    "kurtosis of Q": "q_kurtosis",
    "mean of P": "p_mean",
    "std of P": "p_std",
    "smallest of P": "p_min",
    "largest of P": "p_max",
    "share of P above 0.1": "p_share_above_tenth",
    "mean of Q": "q_offdiagonal_mean",
    "diagonal of Q": "q_diagonal_mean",
}


@pytest.mark.parametrize("quantity", FIELDS)
@pytest.mark.parametrize("side", [-1, 1])
def test_a_statistic_is_caught_beyond_its_tolerance_and_only_there(measured, numbers, quantity, side):
    name = FIELDS[quantity]
    (at,) = [of for of in compared(measured, numbers) if (of.quantity, of.where) == (quantity, "layer 5")]

    def moved(tolerances):
        values = list(getattr(numbers, name))
        values[5] += side * tolerances * at.tolerance
        return off(measured, replace(numbers, **{name: tuple(values)}))

    assert moved(0.98) == []
    assert [(of.quantity, of.where) for of in moved(1.02)] == [(quantity, "layer 5")]


def test_tolerances_are_no_wider_than_stated(measured, numbers):
    """What is read off a plot and what text adds, each by an independent route for one layer."""
    of = {(of.quantity, of.where): of for of in compared(measured, numbers)}
    kurtosis, tokens = measured.statistics["P"]["kurtosis"], measured.provenance["tokens"]
    own, values = kurtosis.text_error, kurtosis.value
    error = max(own[1], abs(values[1]) * math.sqrt((own**2).sum() / (values**2).sum()))
    stated = 0.06 + 4 * math.hypot(error, error * math.sqrt(tokens / 1e7))
    assert of["kurtosis of P", "layer 5"].tolerance == pytest.approx(stated, rel=1e-12)
    q = measured.pairs[0].matrices["Q"][2, 125]
    assert of["printed entries of Q", "layer 0, facts 2 → 125"].tolerance == pytest.approx(1e-3 * q, rel=1e-12)


@pytest.mark.parametrize("name", ["q_layer0_largest", "q_layer0_printed"])
def test_an_entry_of_q_is_held_to_a_thousandth(measured, numbers, name):
    last = getattr(numbers, name)[-1]

    def moved(by):
        entries = (*getattr(numbers, name)[:-1], replace(last, value=last.value * (1 + by)))
        return off(measured, replace(numbers, **{name: entries}))

    assert moved(5e-4) == []
    assert {of.where for of in moved(2e-3)} == {f"layer 0, facts {last.row} → {last.column}"}


def test_transposed_p_is_caught_by_its_entries(measured, numbers):
    """No statistic of the entries can: they are the same entries."""
    found = off(with_matrix(measured, "P", np.transpose), numbers)
    entries = {"largest pairs of P", "printed entries of P"}
    assert entries <= {of.quantity for of in found} <= entries | {"other pairs of P"}


@pytest.mark.parametrize(("name", "place"), [("P", (40, 7)), ("Q", (7, 40))])
def test_a_large_pair_that_was_not_published_is_caught(measured, numbers, name, place):
    def planted(matrix):
        changed = matrix.copy()
        changed[place] = 2 * changed[~np.eye(128, dtype=bool)].max()
        return changed

    found = [of for of in off(with_matrix(measured, name, planted), numbers) if of.where.startswith("layer 0, facts")]
    assert [of.quantity for of in found] == [f"other pairs of {name}"]
    assert found[0].where.endswith(f"{place[0]} → {place[1]}")
    assert "at most" in str(found[0])


def test_a_published_pair_that_is_not_large_is_caught(measured, numbers):
    first = numbers.p_layer0_largest[0]

    def planted(matrix):
        changed = matrix.copy()
        changed[first.row, first.column] = 0.0
        return changed

    found = off(with_matrix(measured, "P", planted), numbers)
    assert ("largest pairs of P", f"layer 0, facts {first.row} → {first.column}") in [
        (of.quantity, of.where) for of in found
    ]


def test_largest_pairs_may_change_places_within_their_errors(measured, numbers):
    """The order in which equal numbers were listed is no finding."""
    assert off(measured, replace(numbers, p_layer0_largest=numbers.p_layer0_largest[::-1])) == []


def test_facts_in_another_order_are_caught(taken, numbers, monkeypatch):
    monkeypatch.setattr(selection, "known_case_ids", lambda: tuple(sorted(known_case_ids())))
    found = {of.quantity for of in off(taken(layers=(0,)), numbers)}
    assert {"subjects", "largest pairs of Q", "printed entries of Q", "printed entries of P"} <= found


def test_keys_of_another_token_are_caught(taken, numbers, monkeypatch):
    def one_before(*args):
        prompts = subject_rows(*args)
        return replace(prompts, subject_last=prompts.subject_last - 1)

    monkeypatch.setattr(keys, "subject_rows", one_before)
    found = {of.quantity for of in off(taken(layers=(0,)), numbers)}
    assert {"mean of Q", "diagonal of Q", "largest pairs of Q", "printed entries of Q", "largest pairs of P"} <= found
    assert "subjects" not in found


def test_a_finding_shows_the_number_that_is_furthest_off(measured, numbers):
    agreeing = findings_of(compared(measured, numbers))
    assert len(agreeing) == 16
    assert {found.verdict for found in agreeing} == {Verdict.HOLDS}
    shifted = replace(numbers, p_mean=tuple(mean + 10 * (layer == 11) for layer, mean in enumerate(numbers.p_mean)))
    (failing,) = [found for found in findings_of(compared(measured, shifted)) if found.verdict is Verdict.FAILS]
    assert (failing.id, failing.layer, failing.count) == ("published:mean-of-P", 11, 3)
    assert failing.judged.bound.centre == shifted.p_mean[11] > failing.value + failing.judged.bound.threshold


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"dtype": "bfloat16"}, "expected float32"),
        ({"num_facts": 64}, "64 facts were measured; expected 128"),
        ({"model": "other"}, "model is other and facts are counterfact.json; expected openai-community/gpt2"),
    ],
)
def test_what_cannot_be_compared_says_why(measured, numbers, changed, reason):
    chosen = measured.selection
    if "num_facts" in changed:
        chosen = replace(chosen, measured=chosen.measured.subset(known_case_ids()[:64]))
    if "model" in changed:
        chosen = replace(chosen, rule="another")
    other = replace(measured, settings=replace(measured.settings, **changed), selection=chosen)
    assert reason in not_comparable(other, numbers)


@pytest.mark.parametrize(
    ("changed", "corpus", "reason"),
    [
        ({}, "wikipedia-introductions", "expected whole articles"),
        ({}, "novels.txt", "text is novels.txt"),
        ({"ridge": 0.1}, "wikipedia.txt", "expected none"),
        ({"longest_text": 64}, "wikipedia.txt", "expected 1024"),
    ],
)
def test_p_is_not_compared_on_another_text(measured, changed, corpus, reason):
    provenance = {**measured.provenance, "corpus": corpus}
    other = replace(measured, settings=replace(measured.settings, **changed), provenance=provenance)
    assert reason in text_not_comparable(other)


def test_p_is_not_compared_on_little_text(measured, monkeypatch):
    monkeypatch.setattr("ks_core.claims.gpt2_small.FEWEST_TOKENS", measured.provenance["tokens"] + 1)
    assert "tokens were read; expected at least" in text_not_comparable(measured)


def test_the_hub_wikipedia_can_be_compared(measured):
    corpus = "hub:wikimedia/wikipedia:20231101.en:train"
    assert text_not_comparable(replace(measured, provenance={**measured.provenance, "corpus": corpus})) is None

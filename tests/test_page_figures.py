"""Charts of pairs of facts on the page: what is drawn is what was measured, layer by layer, row by column."""

import base64
import itertools
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_results import WIDTH, chosen, drawn, facts_of, frozen, planted, with_content

from ks_core.data.published_numbers import published_gpt2_small
from ks_core.reporting.page.entangled import hottest_sentence
from ks_core.reporting.page.figures.angles import FILLED, STEP, angles_figure
from ks_core.reporting.page.figures.density import RANDOM, binned, density_figure, edges_of
from ks_core.reporting.page.figures.every import figures_of
from ks_core.reporting.page.figures.heatmap import SCALE, facts_shown, heatmap_of
from ks_core.reporting.page.figures.hottest import hottest_pairs
from ks_core.reporting.page.figures.kurtosis import ALL, LAPLACE, LAW, LENGTHS, ONE_EACH, PUBLISHED, kurtosis_figure

ROUNDED = 5.1e-6
"""Relative: six significant digits are right to half of the sixth."""


@pytest.fixture(scope="module")
def results():
    return planted(layers=5, facts=24)


def entries(matrix):
    """Off-diagonal entries, one by one."""
    return [matrix[i, j] for i in range(len(matrix)) for j in range(len(matrix)) if i != j]


def test_density_is_that_of_the_named_layer(results):
    """Counted entry by entry, in the bins of the chart; the layers of the figure are the 1st, 2nd, 4th and 5th."""
    figure = density_figure(results)
    named = {4: 0, 5: 1, 7: 3, 8: 4}
    series = {f"layer {layer}": entries(results.matrix("P")[place].astype(float)) for layer, place in named.items()}
    assert {row["series"] for row in drawn(figure)} == {*series, RANDOM}
    for name, values in series.items():
        rows = chosen(drawn(figure), series=name)
        floor = min(row["y"] for row in rows)
        total = 0.0
        for row, following in pairwise(rows):
            inside = sum(row["x"] <= value < following["x"] for value in values)
            width = following["x"] - row["x"]
            assert row["y"] == pytest.approx(max(inside / len(values) / width, floor), rel=1e-3), "edges are rounded"
            total += inside
        assert total == len(values), "no entry is outside"


def test_density_of_random_keys_is_drawn_with_the_seed_of_the_run(results):
    keys = np.random.default_rng(0).standard_normal((24, WIDTH))
    gram = keys @ keys.T
    expected = entries(gram / np.diag(gram)[:, None])
    rows = chosen(drawn(density_figure(results)), series=RANDOM)
    for row, following in pairwise(rows):
        inside = sum(row["x"] <= value < following["x"] for value in expected)
        if inside:
            assert row["y"] == pytest.approx(inside / len(expected) / (following["x"] - row["x"]), rel=1e-3)
    assert density_figure(results) == density_figure(results)


def test_density_says_where_the_width_of_keys_is_not_known(results):
    figure = density_figure(with_content(results, d_key=[]))
    assert RANDOM not in {row["series"] for row in drawn(figure)}
    assert "do not say how wide" in figure.caption


@given(
    st.lists(st.lists(st.floats(-3, 3), min_size=2, max_size=30).map(np.array), min_size=1, max_size=4),
)
def test_density_holds_every_entry_and_integrates_to_one(lists):
    series = {str(place): of for place, of in enumerate(lists)}
    edges = edges_of(series)
    assert (np.diff(edges) > 0).all()
    assert 2 <= len(edges) < 400
    for of in lists:
        assert (binned(of, edges) * np.diff(edges)).sum() == pytest.approx(1)


def test_kurtosis_is_what_is_stored_with_bands_of_one_error(results):
    rows = drawn(kurtosis_figure(results))
    for series, part in ((ALL, "statistics"), (ONE_EACH, "one_fact_per_subject")):
        stored = results.content[part]["P"]["kurtosis"]
        found = chosen(rows, series=series)
        assert [row["layer"] for row in found] == [4, 5, 6, 7, 8]
        assert [row["depth"] for row in found] == [0, 0.25, 0.5, 0.75, 1]
        assert [row["value"] for row in found] == pytest.approx(list(stored["value"]), rel=ROUNDED)
        for row, value, error in zip(found, stored["value"], stored["error"], strict=True):
            assert (row["low"], row["high"]) == pytest.approx((value - error, value + error), rel=1e-4)
    assert [row["value"] for row in chosen(rows, series=PUBLISHED)] == list(published_gpt2_small().p_kurtosis)
    assert [row["value"] for row in chosen(rows, series=LENGTHS)] == [1.0] * 5
    assert {row["value"] for row in chosen(rows, series=LAW)} == {LAPLACE} == {3.0}


def test_kurtosis_breaks_its_line_where_a_layer_has_none(results):
    stored = results.content["statistics"]["P"]["kurtosis"]
    gap = {"value": (stored["value"][0], None, *stored["value"][2:]), "error": (0.1, None, None, 0.1, 0.1)}
    figure = kurtosis_figure(with_content(results, statistics={"P": {"kurtosis": gap}}))
    values = [(row["value"], row.get("low")) for row in chosen(drawn(figure), series=ALL)]
    assert values[1] == (None, None)
    assert values[2][0] is not None
    assert values[2][1] is None, "a value without an error has no band"
    assert "of 4 layers" in figure.alternative
    nothing = {"value": (None,) * 5, "error": (None,) * 5}
    assert kurtosis_figure(with_content(results, statistics={"P": {"kurtosis": nothing}})) is None


def test_kurtosis_of_facts_with_a_subject_each_is_drawn_once():
    results = planted(facts=2)
    assert ONE_EACH not in {row["series"] for row in drawn(kurtosis_figure(results))}
    assert "a subject of its own" in kurtosis_figure(results).caption


def test_angles_are_those_of_the_named_layer_and_space(results):
    rows = drawn(angles_figure(results))
    highest = max(row["share"] for row in rows)
    for matrix, space in (("whitened_cosine", "whitened"), ("activation_cosine", "as they are")):
        for base, (layer, place) in enumerate(reversed({4: 0, 5: 1, 7: 3, 8: 4}.items())):
            found = chosen(rows, layer=layer, series=space)
            angles = np.degrees(np.arccos(entries(results.matrix(matrix)[place].astype(float))))
            for row in found[:-1]:
                inside = sum(row["angle"] <= angle < row["angle"] + STEP for angle in angles)
                assert row["share"] == pytest.approx(100 * inside / len(angles), rel=ROUNDED)
                assert row["base"] == base
                assert row["top"] == pytest.approx(base + FILLED * row["share"] / highest, rel=1e-4)
            assert sum(row["share"] for row in found) == pytest.approx(100, rel=1e-4)


def decoded(heatmap, count):
    values = np.frombuffer(base64.b64decode(heatmap.values), "<i2").reshape(len(heatmap.layers), count, count)
    return values / heatmap.scale


def test_heatmap_has_the_edited_fact_in_its_row_and_sorts_both_sides_alike(results):
    heatmap = heatmap_of(results)
    facts = results.content["facts"]["measured"]
    order = sorted(range(24), key=lambda i: (facts[i]["relation_id"], facts[i]["target_true"], i))
    assert heatmap.relations == tuple(facts[i]["relation_id"] for i in order)
    assert heatmap.facts[0] == f"{facts[order[0]]['text']} → {facts[order[0]]['target_true']}"
    matrix = results.matrix("P")
    found = decoded(heatmap, 24)
    for layer in range(5):
        for row, edited in enumerate(order):
            for column, disturbed in enumerate(order):
                assert found[layer, row, column] == pytest.approx(matrix[layer, edited, disturbed], abs=0.51 / SCALE)
    # The planted fault: a transposed heatmap differs by far more than rounding.
    assert np.abs(found - found.transpose(0, 2, 1)).max() > 100 / SCALE
    assert heatmap.layers == (4, 5, 6, 7, 8)


def test_heatmap_clips_what_is_too_large_and_marks_what_is_not_defined(results):
    results.planted["P"][0, 0, 1], results.planted["P"][0, 1, 0], results.planted["P"][0, 2, 3] = 50, -50, np.nan
    try:
        values = np.frombuffer(base64.b64decode(heatmap_of(results).values), "<i2")
    finally:
        results.planted.update(planted(layers=5, facts=24).planted)
    assert sorted(values)[:2] == [-32768, -32767]
    assert values.max() == 32767


@pytest.mark.parametrize(("layers", "facts"), [(30, 128), (30, 1000), (1, 1000), (100, 500)])
def test_heatmap_stays_within_its_bytes(layers, facts):
    shown = facts_shown(layers, facts)
    assert 4 * -(-layers * shown * shown * 2 // 3) <= 3_000_000
    assert shown == facts or shown == 256 or 4 * layers * (shown + 1) ** 2 * 2 / 3 > 3_000_000, "no fewer than fit"


def strongest(matrix, subjects, count):
    """The largest entries, so many of pairs of two subjects and so many of one, strongest first; one by one."""
    kinds = {False: [], True: []}
    for i, j in itertools.product(range(len(matrix)), repeat=2):
        if i != j:
            kinds[subjects[i] == subjects[j]].append((-abs(matrix[i, j]), i, j))
    return sorted(pair for of in kinds.values() for pair in sorted(of)[:count])


def test_hottest_pairs_are_the_strongest_of_each_layer(results):
    found = hottest_pairs(results, 20)
    facts, matrix = results.content["facts"]["measured"], results.matrix("P").astype(float)
    for place, layer in enumerate(results.content["layers"]):
        every = strongest(matrix[place], [fact["subject"] for fact in facts], 20)
        of_layer = [pair for pair in found if pair.layer == layer]
        assert len(of_layer) == 20 + 2, "and the pair of one subject, both ways round"
        for pair, (strength, edited, disturbed) in zip(of_layer, every, strict=True):
            assert abs(pair.superposition) == -strength
            assert pair.superposition == matrix[place, edited, disturbed], "by the row, and not by the column"
            assert (pair.edited.case_id, pair.disturbed.case_id) == (1000 + edited, 1000 + disturbed)
            assert pair.related == (facts[edited]["relation_id"] == facts[disturbed]["relation_id"])
            assert pair.same_subject == ({edited, disturbed} == {0, 2})
            cosine = results.matrix("whitened_cosine")[place, edited, disturbed]
            assert pair.angle == pytest.approx(np.degrees(np.arccos(cosine)), abs=1e-4)
    hottest = sorted(found, key=lambda pair: -abs(pair.superposition))[:20]
    everywhere = sorted(-abs(matrix[k, i, j]) for k in range(5) for i in range(24) for j in range(24) if i != j)
    assert [abs(pair.superposition) for pair in hottest] == [-of for of in everywhere[:20]], "those of all layers"


@pytest.mark.parametrize("count", [1, 2, 132, 1000])
def test_hottest_pairs_are_no_more_than_there_are(count):
    found = hottest_pairs(planted(layers=1, facts=12), count)
    assert len(found) == min(count, 12 * 11 - 2) + min(count, 2)
    assert all(pair.edited.case_id != pair.disturbed.case_id for pair in found), "the diagonal is no pair"


@pytest.mark.parametrize(("layers", "facts"), [(1, 12), (2, 2), (1, 2)])
def test_one_layer_and_two_facts_have_figures_too(layers, facts):
    names = [figure.name for figure in figures_of(planted(layers, facts))]
    assert names == ["density", "kurtosis", "angles"]
    assert heatmap_of(planted(layers, facts)) is not None
    assert len(hottest_pairs(planted(layers, facts))) == layers * (2 if facts == 2 else 20 + 2)


@pytest.mark.parametrize("count", [5, 20])
def test_pairs_of_one_subject_do_not_push_out_those_of_two(count):
    """Eight facts about one subject have 56 pairs, each stronger than any other here."""
    results = planted(layers=2, facts=14)
    records = [dict(of) | ({"subject": "Rome"} if n < 8 else {}) for n, of in enumerate(facts_of(14))]
    results = with_content(results, facts=dict(results.content["facts"]) | {"measured": records})
    results.planted["P"][:] = np.clip(results.planted["P"], -0.5, 0.5)
    results.planted["P"][:, :8, :8] = 0.99
    results.planted["P"][1, 9, 3] = -0.8
    pairs = hottest_pairs(results, count)
    assert [(pair.layer, pair.same_subject) for pair in pairs].count((4, False)) == count
    assert [(pair.layer, pair.same_subject) for pair in pairs].count((4, True)) == count
    said = hottest_sentence(pairs)
    assert said.startswith("The most entangled facts about different subjects: an edit of “Town9 ")
    assert said.endswith("by −80% of what it moves the edited fact itself (layer 5).")


def test_older_results_have_no_figures_of_matrices():
    older = planted(matrices=False)
    assert [figure.name for figure in figures_of(older)] == ["kurtosis"]
    assert heatmap_of(older) is None
    assert hottest_pairs(older) == ()


def test_what_is_not_finite_is_no_entry_and_no_pair():
    damaged = planted(layers=5, facts=24)
    damaged.planted["P"][0, 3, 4] = np.nan
    rows = chosen(drawn(density_figure(damaged)), series="layer 4")
    assert all(row["y"] is not None for row in rows)
    assert all(np.isfinite(pair.superposition) for pair in hottest_pairs(damaged, 1000))
    nothing = planted(layers=1, facts=3)
    nothing.planted["P"][:] = np.nan
    assert density_figure(nothing) is None
    assert hottest_pairs(nothing) == ()


def test_figures_say_the_model_and_how_many_pairs(results):
    for figure in figures_of(results):
        assert figure.caption.startswith("planted: "), "the model's own name, without its folder"
        assert "552 ordered pairs of 24 facts" in figure.caption
    assert "24 facts" in heatmap_of(results).caption


def test_a_wrong_layer_is_seen(results):
    """The planted fault of the density's own law: another layer has other bins."""
    other = with_content(results, layers=frozen([8, 7, 6, 5, 4]))
    mine, theirs = (chosen(drawn(density_figure(of)), series="layer 4") for of in (results, other))
    assert [row["y"] for row in mine] != [row["y"] for row in theirs]

"""Long streams as tables and as JSON: every method has its row, every number its error and count, nothing is lost."""

import json
from dataclasses import replace

import numpy as np
import pytest
from planted_lifelong import EDITS, FAR, METHODS, NEAR, TEXTS, curve, fading, planted_lifelong

from ks_core.experiments.lifelong.look import Curve
from ks_core.experiments.lifelong.scores import SCORES
from ks_core.reporting.lifelong import Row, acting_scores, apart_scores, lifelong_tables, table
from ks_core.reporting.lifelong_numbers import lifelong_numbers
from ks_core.reporting.results import plain


@pytest.fixture(scope="module")
def measured():
    return planted_lifelong()


def block(lines, title):
    """The lines of one table, its headings first."""
    start = next(place for place, line in enumerate(lines) if line.startswith(title)) + 1
    return lines[start : lines.index("", start)]


def test_tables_have_a_row_for_every_method_at_every_count_of_the_frontier(measured):
    rows = block(lifelong_tables(measured), "methods")[1:]
    names = [*METHODS, "mine:edit"]
    assert [row.split()[:2] for row in rows] == [[str(n), name] for n in (32, EDITS) for name in names]


def test_tables_show_scores_with_errors_under_their_headings(measured):
    headings, *rows = block(lifelong_tables(measured), "methods")
    row = next(row for row in rows if row.startswith(f"{EDITS} ") and "joint" in row)
    retention = measured.scores(measured.curve("joint"), EDITS)["retention"]
    place = headings.index("retention")
    value, error = row[place:].split(" ± ")[0], row[place:].split(" ± ")[1].split()[0]
    assert float(value) == pytest.approx(100 * retention.value, abs=0.01)
    assert float(error) == pytest.approx(100 * retention.error, rel=0.1)


def test_a_method_that_failed_has_a_row_that_says_why(measured):
    rows = block(lifelong_tables(measured), "methods")
    assert f"{EDITS}     mine:edit   failed: mine:edit gave NaN after 5 edits" in rows


def test_a_method_that_failed_in_some_orders_shows_the_others_and_says_why(measured):
    whole = measured.curve("joint")
    broken = replace(whole, looks=(whole.looks[0], *(looks[:-1] for looks in whole.looks[1:])), failed="too long")
    rows = block(lifelong_tables(replace(measured, curves=(broken,))), "methods")[1:]
    assert [row.split()[0] for row in rows] == ["32", "64", "64"]
    assert rows[-1].endswith("failed (1 of 3 orders got here): too long")


def test_names_and_reasons_of_other_people_stay_on_their_line(measured):
    nasty = Curve("evil\n\x1b[2J" + "x" * 300, "", True, (), failed="a\nb" * 400)
    lines = lifelong_tables(replace(measured, curves=(nasty,)))
    assert not any(set("\n\x1b") & set(line) for line in lines)
    assert max(map(len, block(lines, "methods"))) < 250


def test_other_settings_stand_apart_from_defaults(measured):
    lines = lifelong_tables(measured)
    assert all("ridge 1" in row for row in block(lines, "other settings")[1:])
    assert not any("ridge 1" in row for row in block(lines, "methods"))


def test_forecasts_stand_beside_what_was_measured(measured):
    headings, *rows = block(lifelong_tables(measured), "foretold")
    assert len(rows) == 2 * len(measured.plan.counts)
    cells = rows[-1].split("  ")
    assert headings.split("  ")[-1].strip() == "watched halved %, measured"
    foretold, found = [cell.strip() for cell in cells if " ± " in cell][-2:]
    assert foretold == found, "planted alike"


def test_a_forecast_says_of_retention_only_what_its_samples_know(measured):
    forecast = measured.forecasts[0]
    looks = [list(of) for of in forecast.curve.looks]
    looks[0][0] = replace(looks[0][0], early=looks[0][0].early.at(slice(0, 0)))  # its first edit is in no sample
    one_less = replace(forecast, curve=replace(forecast.curve, looks=tuple(map(tuple, looks))))
    kept = [np.exp(float(of[0].early.log_probability[0])) for of in forecast.curve.looks[1:]]
    assert measured.foretold(one_less, 1)["retention"].value == pytest.approx(np.mean(kept))
    nothing = [[replace(look, early=look.early.at(slice(0, 0))) for look in of] for of in looks]
    empty = replace(forecast, curve=replace(forecast.curve, looks=tuple(map(tuple, nothing))))
    assert np.isnan(measured.foretold(empty, 1)["retention"].value)
    assert "none" in block(lifelong_tables(replace(measured, forecasts=(empty,))), "foretold")[1]


def test_tables_of_what_was_not_measured_have_no_lines(measured):
    lines = lifelong_tables(replace(measured, forecasts=(), acting=(), simulated={}, curves=()))
    assert not any(line.startswith(("methods", "other settings", "foretold", "where", "simulated")) for line in lines)


def test_tables_say_how_many_orders_edits_facts_and_texts(measured):
    said = "\n".join(lifelong_tables(measured))
    assert f"{EDITS} edits in 3 orders" in said
    assert f"{NEAR + FAR} facts" in said
    assert f"{TEXTS} held-out texts" in said
    assert "16 of the first quarter and 8 of the others, with 8 paraphrases and 8 prompts of the neighbourhood" in said
    assert "± is one standard error" in said


def test_near_and_far_facts_together_are_the_watched(measured):
    joint = measured.curve("joint")
    parts = apart_scores(measured, joint, EDITS)
    together = measured.scores(joint, EDITS)["watched halved"]
    assert (parts["near"]["watched halved"].count, parts["far"]["watched halved"].count) == (NEAR, FAR)
    mean = (NEAR * parts["near"]["watched halved"].value + FAR * parts["far"]["watched halved"].value) / (NEAR + FAR)
    assert mean == pytest.approx(together.value)


def test_acting_scores_are_of_the_place_that_they_name(measured):
    scores = acting_scores(measured, measured.acting[0])
    worst = np.linspace(0.0, 2.0, NEAR + FAR)
    for place, share in {"everywhere": 1.0, "at_subject": 0.6, "elsewhere": 0.4}.items():
        assert scores[place]["watched change"].value == pytest.approx(-share * worst.mean())
        assert scores[place]["watched halved"].value == pytest.approx((share * worst >= np.log(2)).mean())


def test_numbers_of_long_streams_are_strict_json_with_an_error_and_a_count_each(measured):
    numbers = json.loads(json.dumps(plain(lifelong_numbers(measured)), allow_nan=False))
    assert [of["method"] for of in numbers["curves"]] == [of.method for of in measured.curves]
    assert numbers["curves"][-1]["failed"] == "mine:edit gave NaN after 5 edits"
    for of in numbers["curves"]:
        for look in of["looks"]:
            assert list(look["scores"]) == list(SCORES)
            assert all(set(score) == {"value", "error", "count"} for score in look["scores"].values())
    assert numbers["curves"][0]["looks"][-1]["scores"]["watched halved"]["count"] == NEAR + FAR
    assert [of["method"] for of in numbers["forecasts"]] == ["sequential", "joint"]
    assert set(numbers["acting"][0]["scores"]) == {"everywhere", "at_subject", "elsewhere"}


def test_numbers_have_looks_that_only_some_orders_reached(measured):
    whole = curve(measured.plan, "joint", fading(1.0, 1.0))
    broken = replace(whole, looks=(whole.looks[0], whole.looks[1][:2]), failed="too long")
    looks = lifelong_numbers(replace(measured, curves=(broken,)))["curves"][0]["looks"]
    assert [look["orders"] for look in looks] == [2, 2] + [1] * (len(measured.plan.counts) - 2)


def test_a_table_is_as_wide_as_its_cells_and_not_as_what_stands_behind_them():
    assert table(["n", "name", "x"], [Row(["10", "a", "1 ± 2"]), Row(["7", "b"], "failed: " + "y" * 99)]) == [
        "n   name  x",
        "10  a     1 ± 2",
        "7   b     failed: " + "y" * 99,
    ]

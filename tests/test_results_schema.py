"""The schema of results.json: the committed one is the code's, real files fit it, and planted faults do not."""

import copy
import json
import os
from dataclasses import replace
from functools import reduce
from operator import getitem

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from measured import write_everything
from planted_frontier import planted_frontier
from results_schema import text
from test_claims_capacity import by_dimension, capacity
from tiny_models import save_tiny_checkpoint

from ks_core.claims.finding import NotApplicable
from ks_core.claims.registry import judge_all
from ks_core.experiments.measured import Measured, measure_part
from ks_core.experiments.pairs.measure import measure
from ks_core.experiments.request.inputs import load_inputs
from ks_core.experiments.request.settings import Settings
from ks_core.reporting.quantities import QUANTITIES, numbers_in
from ks_core.reporting.results import FORMAT, SCHEMA, write_results
from ks_core.reporting.schema_check import ANNOTATIONS, KEYWORDS, problems

VALIDATOR = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """A real results.json of a tiny model with everything in it; long streams and capacity are planted numbers."""
    folder = tmp_path_factory.mktemp("everything")
    inputs = write_everything(folder, "gpt_neox", layers=3)
    family = (inputs["model"], str(save_tiny_checkpoint(folder / "larger", "gpt_neox", layers=4)))
    asked = Settings(**inputs, num_facts=8, num_edits=4, tokens=1600, resamples=40, families=(family,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        loaded = load_inputs(asked)
        measured = Measured(measure(asked, inputs=loaded))
        for part in ("stream", "dose", "sizes"):
            measured = measure_part(loaded, measured, part)
    planted = {"lifelong": planted_frontier(64), "capacity": capacity(*map(by_dimension, (128, 192)))}
    measured = replace(measured, long_dose=measured.dose, **planted)
    outcomes = judge_all(measured)
    findings = [of for found in outcomes.values() if not isinstance(found, NotApplicable) for of in found]
    missing = {name: of for name, of in outcomes.items() if isinstance(of, NotApplicable)}
    write_results(folder / "results.json", measured, findings, missing, "none")
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_the_committed_schema_is_what_the_code_says():
    assert SCHEMA.read_text(encoding="utf-8") == text(), "run python tools/results_schema.py"
    Draft202012Validator.check_schema(VALIDATOR.schema)
    assert VALIDATOR.schema["properties"]["format"] == {"const": FORMAT}


def test_a_real_file_with_everything_in_it_fits(content):
    VALIDATOR.validate(content)
    assert list(problems(VALIDATOR.schema, content)) == []
    assert set(content["editing"]) == {"stream", "dose", "long_dose", "lifelong", "capacity"}
    assert content["scaling"]


def test_the_schema_has_no_word_that_is_not_checked():
    def walk(of):
        assert set(of) <= {*KEYWORDS, *ANNOTATIONS}
        inside = [*of.get("properties", {}).values(), *of.get("$defs", {}).values()]
        inside += [of[name] for name in ("items", "additionalProperties") if isinstance(of.get(name), dict)]
        for each in inside:
            walk(each)

    walk(VALIDATOR.schema)


CARRY = ("findings", "statistics", "one_fact_per_subject", "null", "null_of_lengths")
"""Parts whose numbers have unit and n beside them."""

ASKED = ("format", "settings", "provenance", "facts", "layers", "pairs", "quantities")
"""What was asked for and what the numbers are of: nothing measured."""

BESIDE = {
    "edits", "layer", "layers", "orders", "count", "samples", "sample", "first_quarter", "texts", "resamples", "seed",
    "d_key", "watched", "rising", "pairs", "facts_known_to_all", "failed", "parameters_outside_embedding", "revision",
    "edited_case_ids", "bystander_case_ids", "protected_case_ids", "watched_case_ids", "near_case_ids", "far_case_ids",
    "case_ids",
}  # fmt: skip
"""Last keys of counts, places and names that say what the numbers beside them are of."""


def is_beside(path):
    return path[-1] in BESIDE or "search" in path or path[:2] == ("scaling", "places") or path == ("seeds",)


def said_of(content):
    """How many quantities are said of each number that carries neither unit nor n itself."""
    for part, of in content.items():
        if part not in (*ASKED, *CARRY):
            for path, _ in numbers_in(of, (part,)):
                times = sum(quantity.at(path) for quantity in QUANTITIES)
                if times or not is_beside(path):
                    yield path, times


def test_every_measured_number_has_one_unit_error_and_n(content):
    found = dict(said_of(content))
    assert {path: times for path, times in found.items() if times != 1} == {}
    written = [tuple(of["path"]) for of in content["quantities"]]
    assert [of.path for of in QUANTITIES if of.path not in written] == [("seeds", "by_seed")], "seeds are the project's"
    carry = [*content["findings"], *content["null_of_lengths"].values()]
    carry += [of for part in CARRY[1:4] for by_name in content[part].values() for of in by_name.values()]
    assert all({"count", "counted"} <= set(of) and of["unit"] for of in carry)


def test_counts_of_statistics_are_those_of_the_pairs(content):
    assert {of["count"] for by in content["statistics"].values() for of in by.values()} == {8 * 7}
    subjects = content["facts"]["distinct_subjects"]
    counts = {of["count"] for by in content["one_fact_per_subject"].values() for of in by.values()}
    assert counts == {subjects * (subjects - 1)}
    assert content["statistics"]["Q"]["std"]["unit"] == "key^2"
    assert content["statistics"]["P"]["std"]["unit"] == "1"


def places_of(value, path=()):
    """Every place in JSON values, from the top."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for name, item in items:
        yield from places_of(item, (*path, name))


def put(content, path, value):
    """The content with another value at a place; what is not on the way there is shared."""
    if not path:
        return value
    changed = copy.copy(content)
    changed[path[0]] = put(changed[path[0]], path[1:], value)
    return changed


OTHERS = ["1.5", "", None, True, -1, 0.5, 7, [], {}, [None], {"unit": "1"}, ["a", [1]]]
"""Planted in the place of a value; no whole number with a decimal point, which jsonschema takes for an integer."""


@given(st.data())
def test_it_finds_what_the_validator_finds(content, data):
    """Both agree on a real file with one value changed: jsonschema is the oracle."""
    part = data.draw(st.sampled_from(sorted(content)))
    path = data.draw(st.sampled_from([(part, *place) for place in places_of(content[part])]))
    changed = put(content, path, data.draw(st.sampled_from(OTHERS)))
    assert (not list(problems(VALIDATOR.schema, changed))) == VALIDATOR.is_valid(changed), path


def test_a_key_that_is_dropped_or_added_is_found_where_keys_are_known(content):
    small = {**content, "editing": {}, "scaling": [], "quantities": content["quantities"][:1]}
    small |= {part: {"P": small[part]["P"]} for part in ("extremes", "null")}
    found = 0
    for place in places_of(small):
        inside = reduce(getitem, place, small)
        if isinstance(inside, dict) and inside:
            for changed in (dict(list(inside.items())[1:]), {**inside, "unheard of": 1}):
                whole = put(small, place, changed)
                assert (not list(problems(VALIDATOR.schema, whole))) == VALIDATOR.is_valid(whole), place
                found += not VALIDATOR.is_valid(whole)
    assert found > 100


@pytest.mark.parametrize("value", [float("inf"), 10**400, -(10**400)])
def test_numbers_beyond_float64_are_no_numbers(value):
    (told,) = problems({"type": "number"}, value)
    assert told.endswith("expected a finite number")


def test_the_schema_is_packaged_beside_the_code():
    assert SCHEMA.name.endswith(".schema.json"), "which the test of the wheel looks for"
    assert os.fspath(SCHEMA.parent).endswith("reporting")

"""The schema of results.json: the committed one is the code's, real files fit it, and planted faults do not."""

import copy
import json
import os
import re
from dataclasses import replace
from functools import reduce
from operator import getitem

import pytest
from errors import refused
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from measured import write_everything
from planted_frontier import planted_frontier
from results_schema import text
from test_claims_capacity import by_dimension, capacity
from tiny_models import save_tiny_checkpoint

import ks_core as ks
from ks_core.claims.finding import NotApplicable
from ks_core.claims.registry import judge_all
from ks_core.errors import InputError
from ks_core.experiments.measured import Measured, measure_part
from ks_core.experiments.pairs.measure import measure
from ks_core.experiments.request.inputs import load_inputs
from ks_core.experiments.request.settings import Settings
from ks_core.reporting.quantities import QUANTITIES, numbers_in
from ks_core.reporting.results import FORMAT, SCHEMA, write_results
from ks_core.reporting.schema_check import first_problem, validator_of

VALIDATOR = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
STRICTER = validator_of(VALIDATOR.schema)


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
    assert first_problem(STRICTER, content) is None
    assert set(content["editing"]) == {"stream", "dose", "long_dose", "lifelong", "capacity"}
    assert content["scaling"]


CARRY = ("findings", "statistics", "one_fact_per_subject", "null", "null_of_lengths")
"""Parts whose numbers have unit and n beside them."""

ASKED = ("format", "settings", "provenance", "facts", "layers", "pairs", "matrices", "quantities")
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


def test_every_fact_that_edits_name_by_its_id_is_told_once(content):
    facts, editing = content["facts"], content["editing"]
    told = [of["case_id"] for of in (*facts["measured"], *facts["others"])]
    assert len(told) == len(set(told))
    assert [of["case_id"] for of in facts["measured"]] == facts["measured_case_ids"]
    named = [
        ids for part in ("stream", "dose", "long_dose") for name, ids in editing[part].items() if "case_ids" in name
    ]
    assert set().union(*named) <= set(told)
    assert set().union(*named) - set(facts["measured_case_ids"]), "or nothing else is named"


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
"""Planted in the place of a value; no number that only the stricter validator refuses."""


def written(path):
    """A place as a sentence names it."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def check_told(told, place):
    """A sentence names the place that was changed, or one in it; then what was got and what was expected."""
    named, got, expected = re.fullmatch("(.+?) ((?:is|has) .+); expected (.+)", told).groups()
    assert named.startswith(written(place)), told
    assert got
    assert expected


@given(st.data())
def test_one_changed_value_is_named_where_the_schema_refuses_it(content, data):
    part = data.draw(st.sampled_from(sorted(content)))
    path = data.draw(st.sampled_from([(part, *place) for place in places_of(content[part])]))
    changed = put(content, path, data.draw(st.sampled_from(OTHERS)))
    told = first_problem(STRICTER, changed)
    assert (told is None) == VALIDATOR.is_valid(changed), path
    if told is not None:
        check_told(told, path)


def test_a_key_that_is_dropped_or_added_is_named_where_keys_are_known(content):
    small = {**content, "editing": {}, "scaling": [], "quantities": content["quantities"][:1]}
    assert first_problem(STRICTER, small) is None
    found = 0
    for place in places_of(small):
        inside = reduce(getitem, place, small)
        if isinstance(inside, dict) and inside:
            gone, *kept = inside
            for key, changed in ((gone, {name: inside[name] for name in kept}), ("unheard", {**inside, "unheard": 1})):
                told = first_problem(STRICTER, put(small, place, changed))
                if told is not None:
                    check_told(told, (*place, key))
                    found += 1
    assert found > 100


ENDS = {"type": "array", "minItems": 1, "maxItems": 2}


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        ({"type": ["number", "null"]}, "1", "it is '1'; expected a finite number or null"),
        ({"type": "number"}, float("inf"), "it is inf; expected a finite number"),
        ({"type": "number"}, 10**400, f"it is 1{'0' * 56}...; expected a finite number"),
        ({"type": "number"}, -(10**400), f"it is -1{'0' * 55}...; expected a finite number"),
        ({"type": "integer"}, 2.0, "it is 2.0; expected a whole number"),
        ({"type": "integer"}, 10**400, f"it is 1{'0' * 56}...; expected a whole number"),
        ({"type": "integer"}, True, "it is True; expected a whole number"),
        (ENDS, [], "it has 0 items; expected 1 or more"),
        (ENDS, [1, 2, 3], "it has 3 items; expected 2 at most"),
        ({"maxItems": 2, "minItems": 2}, [1], "it has 1 items; expected 2"),
        ({"enum": ["a", "b"]}, "c", "it is 'c'; expected one of 'a', 'b'"),
        ({"const": "a"}, ["a"], "it is ['a']; expected 'a'"),
        ({"items": {"minimum": 0}}, [0, -0.5], "[1] is -0.5; expected at least 0"),
        ({"pattern": "a"}, "b\n", "it is 'b\\n'; expected pattern 'a', as the schema says"),
        ({"additionalProperties": False}, {"a\n\x1b": 1}, "a\\n\\x1b is there; expected one of "),
    ],
)
def test_a_sentence_says_what_was_got_and_what_was_expected(schema, value, told):
    assert first_problem(validator_of(schema), value) == told


@pytest.mark.parametrize(
    ("number", "got"), [("1e999", "inf"), ("-1e999", "-inf"), (f"1{'0' * 400}", "1000"), (f"-1{'0' * 400}", "-1000")]
)
@pytest.mark.parametrize("name", ["value", "count"])
def test_a_number_beyond_float64_is_refused(content, tmp_path, name, number, got):
    changed = copy.deepcopy(content)
    changed["findings"][0][name] = "@"
    raw = json.dumps(changed).replace('"@"', number)
    (tmp_path / "wrong.json").write_text(raw, encoding="utf-8")
    what = f"wrong.json: findings[0].{name} is"
    with refused(InputError, what=what, got=got, expected="number", remedy="measure again"):
        ks.load_results(tmp_path / "wrong.json")


def test_the_schema_is_packaged_beside_the_code():
    assert SCHEMA.name.endswith(".schema.json"), "which the test of the wheel looks for"
    assert os.fspath(SCHEMA.parent).endswith("reporting")

"""The JSON Schema of results.json, made from the code: python tools/results_schema.py writes it anew."""

from __future__ import annotations

import json
import types
from dataclasses import fields
from typing import Any, Union, get_args, get_origin, get_type_hints

from results_schema_editing import capacity, dose, growth, lifelong, scaling, seeds, stream
from schema_words import NAME, NUMBER, TEXT, WHOLE, closed, either, enum, listed, mapped, of, ref

from ks_core.claims.finding import Bound, Finding, Judged, Reference, Verdict
from ks_core.experiments.pairs.statistics import PAIR_MATRICES
from ks_core.experiments.request.settings import Settings
from ks_core.measurement.moments.provenance import MomentProvenance
from ks_core.measurement.readable import LeftOut
from ks_core.measurement.values import ValueSettings
from ks_core.reporting.pairs_file import MATRICES, PAIRS
from ks_core.reporting.results import FORMAT, SCHEMA

Json = dict[str, Any]

SAID = {"unit": NAME, "count": WHOLE | {"description": "n"}, "counted": NAME}


def schema() -> Json:
    """All of it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What was measured and judged in a run of ks_core: results.json",
        **closed(
            {
                "format": {"const": FORMAT},
                "model": of(TEXT, "where it is from: a folder, or a name with its revision"),
                "settings": of(typed(Settings), "what was asked for"),
                "provenance": provenance(),
                "baseline": of(TEXT, "that the run was held against, or why there was none"),
                "findings": listed(ref("finding")),
                "claims": mapped(closed({"claims": TEXT, "untested": TEXT})),
                "not_judged": of(mapped(TEXT), "by claim: why"),
                "matrices": matrices(),
                **pairs(),
                "editing": closed({}, optional=parts()),
                "scaling": listed(scaling()),
                "seeds": seeds(),
                "quantities": listed(quantity()),
            }
        ),
        "$defs": defs(),
    }


def defs() -> Json:
    """What is referred to."""
    return {
        "number": of(NUMBER, "null where it is not defined"),
        "numbers": of(listed(NUMBER), "one a layer"),
        "finding": finding(),
        "statistic": statistic(),
        "mean": closed({"value": NUMBER, "error": ERROR, "count": WHOLE}),
        "growth": growth(),
        "seconds": of(mapped(of({"type": "number", "minimum": 0}, "s; one run")), "by step"),
        "search": typed(ValueSettings),
        "dose": dose(),
    }


ERROR = {"type": ["number", "null"], "minimum": 0, "description": "one standard error; null where it is not known"}


def finding() -> Json:
    """A finding: its fields, those of the number that it judges, and what follows from them."""
    own = {name: hinted(hint) for name, hint in get_type_hints(Finding).items() if name != "judged"}
    judged = {name: hinted(hint) for name, hint in get_type_hints(Judged).items()}
    errors = dict.fromkeys(("facts_error", "text_error", "error"), ERROR)
    own |= {"unit": of(TEXT, "of value, errors, bound and references; 1 for a number without, empty: not known")}
    own |= {"count": of(WHOLE, "n, of `counted`"), "references": listed(typed(Reference)), "grain": {"type": "number"}}
    interval = listed(NUMBER) | {"minItems": 2, "maxItems": 2}
    verdict = enum([each.value for each in Verdict])
    held = {"bound": typed(Bound), "verdict": verdict, "interval": interval}
    held |= {"familywise": of(either(interval, {"type": "null"}), "of all places at once; null: of one, or not known")}
    return closed({"id": TEXT} | own | judged | errors | held)


def statistic() -> Json:
    """A statistic of a pair matrix by layer."""
    names = ("value", "facts_error", "text_error", "error", "bootstrap_bias")
    return closed(dict.fromkeys(names, ref("numbers")) | SAID)


def pairs() -> Json:
    """What is of the pairs of facts; stands at the top."""
    drawn = mapped(closed({"mean": NUMBER, "std": NUMBER, "upper": NUMBER} | SAID | COUNT_OF_DRAWS))
    lengths = mapped(closed({"mean": ref("numbers"), "std": ref("numbers")} | SAID | COUNT_OF_DRAWS))
    matrices = closed({name: mapped(ref("statistic")) for name in PAIR_MATRICES})
    extremes = closed({"min": ref("numbers"), "max": ref("numbers")})
    return {
        "facts": closed(
            {
                "rule": TEXT,
                "in_file": WHOLE,
                "origin": TEXT,
                "separators": of(mapped(WHOLE), "between prompt and object: how many facts have it"),
                "left_out": listed(typed(LeftOut)),
                "usable_case_ids": listed(WHOLE),
                "measured_case_ids": listed(WHOLE),
                "measured": of(listed(fact()), "in the measured order; none in a file that was of format 2 or 3"),
                "others": of(listed(fact()), "that `editing` names by their ids besides; none in such a file either"),
                "distinct_subjects": WHOLE,
            }
        ),
        "layers": of(listed(WHOLE), "that were measured; every list of one number a layer is in this order"),
        "pairs": of(WHOLE, "ordered pairs of two different facts: n of every number of a layer"),
        "d_key": of(listed(WHOLE), "dimensions of keys, one a layer; none in a file that was of format 2 or 3"),
        "condition_number": ref("numbers"),
        "rank": listed(WHOLE),
        "silent_neurons": listed(WHOLE),
        "extremes": of(closed(dict.fromkeys(PAIR_MATRICES, extremes)), "without error"),
        "statistics": of(matrices, "by matrix and statistic"),
        "one_fact_per_subject": of(matrices, "the same of one fact per subject"),
        "null": of(mapped(drawn), "of Gaussian keys; std is that from draw to draw"),
        "null_of_lengths": of(lengths, "of random directions with the keys' own lengths"),
        "seconds": ref("seconds"),
    }


def matrices() -> Json:
    """Of the file with every entry of the pair matrices."""
    own = closed({"file": {"const": PAIRS}, "sha256": TEXT, "names": listed(enum([*MATRICES])), "dtype": TEXT})
    return of(either(own, {"type": "null"}), "tensors (layers, n, n) beside this file; null where there is none")


def fact() -> Json:
    """A fact as a reader knows it."""
    names = ("subject", "relation_id", "target_true", "target_new")
    return closed({"case_id": WHOLE, "text": of(TEXT, "that its object completes"), **dict.fromkeys(names, TEXT)})


COUNT_OF_DRAWS = {"count": of({"type": ["integer", "null"], "minimum": 1}, "null where an older file does not say")}


def parts() -> Json:
    """Of edits, those that were measured."""
    none = {"dose": of(ref("dose"), "null where no relation has facts for it"), "long_dose": ref("dose")}
    return {"stream": stream(), "lifelong": lifelong(), "capacity": capacity(), **none}


def provenance() -> Json:
    """What the numbers depend on."""
    own = {name: hinted(hint) for name, hint in get_type_hints(MomentProvenance).items()}
    more = {
        "layers": listed(WHOLE), "revision": either(TEXT, {"type": "null"}), "facts": TEXT, "facts_sha256": TEXT,
        "pool_sha256": TEXT, "num_facts": WHOLE, "resamples": WHOLE, "seed": WHOLE, "ridge": {"type": "number"},
        "ks_core": TEXT, "libraries": mapped(TEXT), "machine": TEXT,
    }  # fmt: skip
    return closed(own | more)


def quantity() -> Json:
    """Of numbers that do not carry it themselves."""
    return closed(
        {
            "path": of(listed(TEXT), "keys from the top; lists are passed through, * is any key, a|b is a or b"),
            "unit": NAME,
            "error": of(TEXT, "the field beside the number that has its standard error, or why there is none"),
            "count": of(TEXT, "the field that has n, or what there is one number for"),
        }
    )


def typed(kind: type) -> Json:
    """A frozen dataclass as `dataclasses.asdict` and JSON have it."""
    hints = get_type_hints(kind)
    return closed({field.name: hinted(hints[field.name]) for field in fields(kind)})


def hinted(hint: Any) -> Json:
    """A type as JSON has it; a float may be null, which stands for NaN."""
    plain: dict[Any, Json] = {str: TEXT, int: {"type": "integer"}, float: NUMBER, bool: {"type": "boolean"}}
    if hint in plain:
        return dict(plain[hint])
    if get_origin(hint) in (types.UnionType, Union):
        return either(*({"type": "null"} if kind is type(None) else hinted(kind) for kind in get_args(hint)))
    if get_origin(hint) is tuple:
        return listed(hinted(get_args(hint)[0]))
    return enum(list(get_args(hint))) if get_args(hint) else {}


def text() -> str:
    """As the file has it."""
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(text(), encoding="utf-8")

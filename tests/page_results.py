"""Stored results of planted numbers, for tests of the page: as large, as small and as strange as a test asks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from planted_frontier import planted_frontier

from ks_core.experiments.capacity.measure import Capacity
from ks_core.experiments.capacity.stream import METHODS, Damage, ModelCapacity
from ks_core.reporting.capacity import capacity_numbers
from ks_core.reporting.lifelong_numbers import lifelong_numbers
from ks_core.reporting.results import FORMAT, plain
from ks_core.reporting.stored_results import StoredResults

RELATIONS = ("P17", "P36", "P103")

METHOD_NAMES = ("sequential", "joint", "protected", "their.package:editor[0]")

COUNTS = (1, 2, 4, 8)

WIDTH = 64


@dataclass(frozen=True, eq=False, repr=False)
class PlantedResults(StoredResults):
    """Results whose matrices are at hand and not in a file."""

    planted: dict = field(default_factory=dict)

    def matrix(self, name):
        return self.planted[name].astype(np.float32)


def frozen(value):
    """As `load_results` gives it: mappings that cannot be changed, and tuples."""
    if isinstance(value, dict):
        return MappingProxyType({name: frozen(item) for name, item in value.items()})
    return tuple(map(frozen, value)) if isinstance(value, list | tuple) else value


def facts_of(count, name="Town{}"):
    """So many facts of three relations, four objects each; two of them share a subject where there are three."""
    subjects = [name.replace("{}", str(place if place != 2 else 0)) for place in range(count)]
    return [
        {
            "case_id": 1000 + place,
            "subject": subject,
            "relation_id": RELATIONS[place % 3],
            "target_true": f"Land{place * 7 % 4}",
            "target_new": "Nowhere",
            "text": f"{subject} lies in",
        }
        for place, subject in enumerate(subjects)
    ]


def matrices_of(layers, facts, seed=0):
    """P and both cosines of random keys, some of which lean on one another."""
    rng = np.random.default_rng(seed)
    found = {name: np.empty((layers, facts, facts)) for name in ("P", "whitened_cosine", "activation_cosine")}
    for layer in range(layers):
        keys = rng.standard_normal((facts, WIDTH)) * rng.lognormal(0, 0.2, (facts, 1))
        keys += rng.exponential(0.5, (facts, 1)) * rng.standard_normal(WIDTH)
        gram = keys @ keys.T
        own = np.sqrt(np.diag(gram))
        found["P"][layer] = gram / np.diag(gram)[:, None]
        found["whitened_cosine"][layer] = gram / own / own[:, None]
        found["activation_cosine"][layer] = np.abs(found["whitened_cosine"][layer])
    return found


def statistic(layers, start):
    """A statistic that falls over the layers, with its error."""
    return {
        "value": [start / (1 + layer) for layer in range(layers)],
        "error": [0.1 + 0.01 * layer for layer in range(layers)],
    }


def planted(layers=3, facts=12, *, model="models/planted", name="Town{}", matrices=True, **parts):
    """Results of pairs of facts alone; `parts` are put into the content.

    Args:
        layers: how many, numbered from 4.
        facts: how many.
        model: where it is from.
        name: of a subject, with its number in it.
        matrices: False for results of an older format.
        parts: of the content, such as `editing`.
    """
    records = facts_of(facts, name)
    content = {
        "layers": list(range(4, 4 + layers)),
        "pairs": facts * (facts - 1),
        "d_key": [WIDTH] * layers if matrices else [],
        "matrices": {"file": "pairs.safetensors"} if matrices else None,
        "facts": {
            "measured": records if matrices else [],
            "others": [{**records[0], "case_id": 77, "text": "Elsewhere lies in"}] if matrices else [],
            "measured_case_ids": [record["case_id"] for record in records],
            "distinct_subjects": len({record["subject"] for record in records}),
        },
        "statistics": {"P": {"kurtosis": statistic(layers, 40.0)}},
        "one_fact_per_subject": {"P": {"kurtosis": statistic(layers, 30.0)}},
        "null_of_lengths": {"kurtosis": {"mean": [1.0] * layers, "std": [0.1] * layers}},
        "editing": {},
        "scaling": [],
        "seeds": None,
        **parts,
    }  # fmt: skip
    return PlantedResults(
        path=Path("nowhere/results.json"), format=FORMAT, model=model, settings={"seed": 0, "ridge": 0.0},
        provenance={}, findings=(), rows=(), content=frozen(content), planted=matrices_of(layers, facts),
    )  # fmt: skip


def with_content(results, **parts):
    """The results with other parts."""
    return replace(results, content=frozen({**results.content, **parts}))


def stream(methods=METHOD_NAMES):
    """A stream of edits in numbers: methods differ, and one of them leaves nothing at its edits but rounding."""
    return {
        "layer": 5,
        "methods": {
            name: [_checkpoint(place, count) for count in COUNTS] for place, name in enumerate(methods)
        },
    }  # fmt: skip


def _checkpoint(place, count):
    scores = {
        "retention": 0.9 - 0.05 * place - 0.01 * count,
        "efficacy": 1.0,
        "efficacy magnitude": 0.8,
        "paraphrase": 0.8,
        "neighbourhood": 0.9 - 0.01 * place * count,
        "log-perplexity rise": 0.01 * count,
    }
    edits = 1e-14 if place == 1 else 2.0 * count
    agreements = {
        part: {"predicted": length, "measured": length * 1.0000001, "difference": length * 1e-7, "relative": 1e-7}
        for part, length in (("bystanders", 3.0 * count + place), ("protected", 1.0), ("edits", edits))
    }
    return {
        "edits": count,
        "scores": {
            name: {"value": value, "error": None if count == 1 else 0.02, "count": count}
            for name, value in scores.items()
        },
        "float64": agreements,
    }  # fmt: skip


def dose(layers=(4, 5, 6), edits=3, watched=10, seed=0):
    """Doses and responses in numbers; an edit is not read at itself."""
    rng = np.random.default_rng(seed)
    doses = rng.uniform(-0.1, 1.0, (len(layers), edits, watched))
    doses[:, np.arange(edits), np.arange(edits)] = np.nan
    responses = 8 * np.clip(doses, 0, None) ** 2 + rng.normal(0, 0.1, doses.shape)
    return {
        "relation": "P17",
        "layers": list(layers),
        "edited_case_ids": [1000 + edit for edit in range(edits)],
        "watched_case_ids": [*(1000 + place for place in range(watched - 2)), 77, 99],
        "by_layer_edit_and_fact": plain({"dose": doses, "response": responses, "predicted": 10 * doses}),
    }


def lifelong():
    """Long streams in numbers."""
    return plain(lifelong_numbers(planted_frontier()))


def capacity():
    """Streams on three models of two families in numbers; one of them has failed at its end."""
    lost = {"falls": [0, 10, 30, 60], "never\nfalls": [0, 1, 2, 3], "ends": [0, 5, 40]}
    models = [_capacity(name, "two" if name == "ends" else "one", of) for name, of in lost.items()]
    return plain(capacity_numbers(Capacity(tuple(models), resamples=100, seed=0, seconds={})))


def _capacity(name, family, lost):
    curve = [Damage(2**power, np.arange(100) < halved, 0.1) for power, halved in enumerate(lost)]
    if name == "ends":
        curve.append(Damage(8, np.empty(0, dtype=bool), float("nan"), "keys span too few directions"))
    return ModelCapacity(name, family, WIDTH, 1, 8, 100, 0.9, 0.02, 0.01, dict.fromkeys(METHODS, tuple(curve)))


def family(name="gpt2", sizes=(1000, 30_000, 1_000_000)):
    """A family in numbers; its members have two, three, … layers."""
    return {
        "family": name,
        "case_ids": list(range(20)),
        "members": [_member(name, place, size) for place, size in enumerate(sizes)],
        "exponents": {
            of: {"at_places": {"value": [0.1, 0.2, None]}} for of in ("kurtosis", "spread", "cosine_spread")
        },
    }  # fmt: skip


def _member(name, place, size):
    layers = 2 + place
    by_layer = [10.0 * (1 + place) / (1 + layer) for layer in range(layers)]
    found = {"value": by_layer, "facts_error": [0.3] * layers, "text_error": [0.4] * layers}
    numbers = ("kurtosis", "spread", "cosine_spread")
    return {
        "name": f"{name}-{place}",
        "parameters_outside_embedding": size,
        "by_layer": dict.fromkeys(numbers, found),
        "chance_by_layer": dict.fromkeys(numbers, [1.5] * layers),
    }


def seeds():
    """Two other seeds of the family's two smaller members."""
    members = [{of: [9.0, 4.0] for of in ("kurtosis", "spread", "cosine_spread")}] * 2
    return {"family": "gpt2", "sizes": [1000, 30_000], "by_seed": {"1": members, "2": members}}


def everything(layers=3, facts=12, **more):
    """Results of which every part was measured."""
    editing = {"stream": stream(), "dose": dose(), "lifelong": lifelong(), "capacity": capacity()}
    return planted(layers, facts, editing=editing, scaling=[family(), family("llama")], seeds=seeds(), **more)


def drawn(figure, at=None):
    """Rows of a figure's data, or those of a layer of it that has its own."""
    spec = figure.spec if at is None else figure.spec["layer"][at]
    return spec["data"]["values"]


def chosen(rows, **values):
    """Rows that have these values."""
    return [row for row in rows if all(row.get(name) == value for name, value in values.items())]

"""What several charts read of stored results: the model's name, its facts by id, and the matrices of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ks_core.experiments.pairs.layer import layers_in_detail
from ks_core.formatting import printable
from ks_core.reporting.page.figures.chart import label
from ks_core.reporting.stored_results import StoredResults
from ks_core.statistics.pairs import Array


@dataclass(frozen=True)
class NamedFact:
    """A fact as the page names it; every text is printable, and is nothing but text.

    Attributes:
        case_id: its id in the file of facts
        relation: its id
        prompt: with the subject in it
        object: the true one
    """

    case_id: int
    subject: str
    relation: str
    prompt: str
    object: str

    @property
    def sentence(self) -> str:
        """The fact in short: prompt and object.

        Example:
            >>> NamedFact(1, "Paris", "P17", "Paris lies in", "France").sentence
            'Paris lies in → France'
        """
        return f"{self.prompt} → {self.object}"


def model_name(results: StoredResults) -> str:
    """The model's own name, without the folder it is in."""
    return label(str(results.model).replace("\\", "/").rstrip("/").rpartition("/")[2], 60)


def measured_facts(results: StoredResults) -> tuple[NamedFact, ...]:
    """The measured facts in the order of the matrices; none of results that do not name them."""
    return tuple(map(_named, results.content["facts"]["measured"]))


def facts_by_id(results: StoredResults) -> dict[int, NamedFact]:
    """Every fact that the results name, those of edits too."""
    facts = results.content["facts"]
    return {fact.case_id: fact for fact in map(_named, (*facts["others"], *facts["measured"]))}


def layers_shown(results: StoredResults) -> list[tuple[int, int]]:
    """Place and number of the layers in charts that cannot show all."""
    layers = list(results.content["layers"])
    return [(layers.index(layer), layer) for layer in layers_in_detail(layers)]


def matrix_of(results: StoredResults, name: str) -> Array | None:
    """A matrix of pairs in all layers, (layers, n, n) float64; None where the results have none.

    Raises:
        InputError: the file beside the results is missing, damaged or of another run.
    """
    if results.content["matrices"] is None:
        return None
    return np.asarray(results.matrix(name), dtype=np.float64)


def off_diagonal(matrix: Array) -> Array:
    """The finite entries of an (n, n) matrix between two different facts."""
    entries: Array = matrix[~np.eye(len(matrix), dtype=bool)]
    return entries[np.isfinite(entries)]


def key_width(results: StoredResults) -> int | None:
    """Neurons of the first measured layer, d_key; None where the results do not say."""
    widths = results.content["d_key"]
    return int(widths[0]) if widths else None


def of_pairs(results: StoredResults) -> str:
    """How many pairs of how many facts a layer has, for captions."""
    return f"{results.content['pairs']:,} ordered pairs of {len(results.content['facts']['measured_case_ids'])} facts"


def _named(record: Mapping[str, Any]) -> NamedFact:
    fields = {"subject": "subject", "relation": "relation_id", "prompt": "text", "object": "target_true"}
    return NamedFact(case_id=record["case_id"], **{of: printable(record[name]) for of, name in fields.items()})

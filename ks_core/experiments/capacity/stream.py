"""One stream of insertions in one model, by two methods: what is lost after 1, 2, 4, … edits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from ks_core.data.facts import Fact
from ks_core.errors import InputError
from ks_core.experiments.lifelong.scores import HALVED
from ks_core.experiments.streams.plan import checkpoints
from ks_core.formatting import printable
from ks_core.measurement.cached_values import cached_target_values
from ks_core.measurement.kept_facts import in_batches, read_all
from ks_core.measurement.keys import subject_keys
from ks_core.models.editing import edited
from ks_core.models.loaded import LoadedModel
from ks_core.theory.editing import EditTerms, edit_terms
from ks_core.theory.methods import FORMS
from ks_core.theory.superposition import superposition
from ks_core.theory.whitening import Whitening

METHODS = ("sequential", "joint")
"""Those of `FORMS` that are followed: the paper's, and the one that keeps its edits exact for as long as it can."""

BEYOND = 1.25
"""A stream goes on to so many times d_key edits: by then the edited keys must depend on each other."""


@dataclass(frozen=True, eq=False)
class Damage:
    """A model after the first n edits by one method.

    Attributes:
        edits: n
        halved: (M,) whether each watched fact's own object has lost half of its probability a token, or more; empty
            where it is not known
        growth: ‖ΔW‖ / ‖W‖, Frobenius; NaN where it is not known
        failed: why nothing is known, in one line; empty where all is
    """

    edits: int
    halved: NDArray[np.bool_]
    growth: float
    failed: str = ""

    @property
    def share(self) -> float:
        """Of the watched facts that lost half; NaN where it is not known."""
        return float(self.halved.mean()) if not self.failed else math.nan


@dataclass(frozen=True, eq=False)
class ModelCapacity:
    """A stream of insertions in one model.

    Attributes:
        name, family: of the model
        d_key: dimensions of the keys of the edited layer
        layer: the edited one
        edits: N, insertions whose values were searched
        watched: M, known facts that were read, about other subjects
        reached: mean probability of an inserted object with its value put in
        among: mean square of P between different edited keys
        onto: mean square of P from the edited keys to those of the watched facts' subjects
        curves: by method, at rising n
    """

    name: str
    family: str
    d_key: int
    layer: int
    edits: int
    watched: int
    reached: float
    among: float
    onto: float
    curves: Mapping[str, tuple[Damage, ...]]

    def known(self, method: str) -> tuple[Damage, ...]:
        """The places of a method's curve where something is known."""
        return tuple(damage for damage in self.curves[method] if not damage.failed)


def counts_of(d_key: int, most: int) -> tuple[int, ...]:
    """After how many of `most` edits a stream is looked at: powers of two, d_key where it is reached, and all.

    Example:
        >>> counts_of(6, 8), counts_of(100, 8)
        ((1, 2, 4, 6, 8), (1, 2, 4, 8))
    """
    return tuple(sorted({*checkpoints(most), min(d_key, most)}))


def run_stream(
    model: LoadedModel,
    name: str,
    family: str,
    layer: int,
    whitening: Whitening,
    insertions: Sequence[Fact],
    watched: Sequence[Fact],
) -> ModelCapacity:
    """Make insertions in their order, as one stream, and read what is watched after 1, 2, 4, … of them.

    Args:
        model: edited inside, and restored bit for bit.
        name, family: of the model, as they are shown.
        layer: to edit.
        whitening: of that layer over text.
        insertions: N edits of different subjects.
        watched: M facts that the model knows, about other subjects.

    Raises:
        KsError: values that cannot be searched, or watched facts that cannot be read.
    """
    values = cached_target_values(model, insertions, layer)
    weight = model.adapter.weight(layer).to("cpu", torch.float64)
    terms = edit_terms(weight, values.keys, values.values, whitening)
    d_key = weight.shape[1]
    curves = _Reading(model, name, layer, watched, weight).curves(terms, counts_of(d_key, len(insertions)))
    rows = whitening.whiten(values.keys)
    others = whitening.whiten(subject_keys(model, watched, [layer])[layer])
    among = superposition(rows)
    pairs = max(1, len(rows) * (len(rows) - 1))
    return ModelCapacity(
        name=name,
        family=family,
        d_key=d_key,
        layer=layer,
        edits=len(insertions),
        watched=len(watched),
        reached=float(values.probabilities.mean()),
        among=float((among.square().sum() - len(rows)) / pairs),
        onto=float(superposition(rows, others).square().mean()),
        curves=curves,
    )


class _Reading:
    """What is watched of a model, and how it stood before any edit."""

    def __init__(self, model: LoadedModel, name: str, layer: int, watched: Sequence[Fact], weight: Tensor) -> None:
        self._model, self._name, self._layer = model, name, layer
        self._length = float(torch.linalg.matrix_norm(weight))
        self._batches = in_batches(model, watched, [frozenset()] * len(watched))  # no rival is asked about
        self._before = read_all(model, self._batches).log_probability

    def curves(self, terms: EditTerms, counts: Sequence[int]) -> dict[str, tuple[Damage, ...]]:
        """By method, after each number of edits."""
        steps = [(method, count) for method in METHODS for count in counts]
        bar = tqdm(steps, desc=f"insertions in {printable(self._name)}", unit="look", disable=None)
        found = [(method, self._after(method, terms.at(range(count)))) for method, count in bar]
        return {method: tuple(damage for of, damage in found if of == method) for method in METHODS}

    def _after(self, method: str, terms: EditTerms) -> Damage:
        try:
            delta = FORMS[method](terms).delta()
            growth = float(torch.linalg.matrix_norm(delta)) / self._length
            with edited(self._model.adapter, self._layer, delta):
                change = read_all(self._model, self._batches).log_probability - self._before
            if not bool(torch.isfinite(change).all()):
                raise InputError(f"after {len(terms)} edits a watched fact has no finite probability")
        except InputError as error:  # such as keys that depend on each other; the others finish
            return Damage(len(terms), np.zeros(0, dtype=np.bool_), math.nan, str(error))
        return Damage(len(terms), (change <= -HALVED).numpy(), growth)

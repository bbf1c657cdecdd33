"""An argument that cannot be used is named in the error, with what was got and what was expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from errors import Parts, refused

from ks_core.errors import InputError
from ks_core.statistics.bootstrap import fact_weights
from ks_core.statistics.convergence import kurtosis_by_size, relative_change
from ks_core.statistics.crossed import crossed_bootstrap
from ks_core.statistics.density import density
from ks_core.statistics.estimate import mean_replicates
from ks_core.statistics.null import lengths_null
from ks_core.statistics.pairs import as_pair_matrix, as_weights

BAD, EYE = np.full((1, 1), np.nan), np.eye(3)

NAMED: list[tuple[str, Callable[[], Any]]] = [
    ("the pair matrix", lambda: as_pair_matrix(BAD)),
    ("the weights", lambda: as_weights(BAD, 1)),
    ("the grid", lambda: density(EYE, BAD[0])),
    ("the key lengths", lambda: lengths_null(BAD, d=2, draws=2, seed=0)),
]

TOLD: list[tuple[dict[str, Parts], Callable[[], Any]]] = [
    ({"got": ("2 facts", "5 resamples"), "expected": ("3", "2")}, lambda: fact_weights(2, 5, 0)),
    ({"got": ("3 facts", "1 resamples"), "expected": ("3", "2")}, lambda: fact_weights(3, 1, 0)),
    ({"got": ("[2]", "3 facts"), "expected": "3 to 3"}, lambda: kurtosis_by_size(EYE, [2], 2, 0)),
    ({"got": "1 draws", "expected": ("at least 2", "spread")}, lambda: kurtosis_by_size(EYE, [3], 1, 0)),
    (
        {"what": "the weights", "expected": ("whole numbers", "summing to n")},
        lambda: relative_change(EYE, 3, [[0.5, 1.0, 1.5]], 2, 0),
    ),
    (
        {"got": ("3 facts", "d = 0", "2 draws"), "expected": ("3", "1", "2")},
        lambda: lengths_null([[1.0, 1.0, 1.0]], d=0, draws=2, seed=0),
    ),
    (
        {"what": "key length", "got": "0", "expected": "greater than 0"},
        lambda: lengths_null([[1.0, 0.0, 1.0]], d=2, draws=2, seed=0),
    ),
    (
        {"got": ("(1, 3, 3)", "(1, 1, 3)", "5 resamples"), "expected": ("(layers, edits, others)", "2 or more")},
        lambda: crossed_bootstrap(lambda *_: 0.0, EYE[None], EYE[None, :1], resamples=5, seed=0),
    ),
    ({"got": "no numbers", "expected": "at least one"}, lambda: mean_replicates(np.empty(0), resamples=5, seed=0)),
    ({"what": "the pair matrix", "got": "(3, 2)", "expected": "square"}, lambda: as_pair_matrix(np.ones((3, 2)))),
    ({"what": "the pair matrix", "got": "2 facts", "expected": "at least 3"}, lambda: as_pair_matrix(np.eye(2))),
    ({"what": "the weights", "got": ("2 facts", "between 3")}, lambda: as_weights([[1.0, 1.0]], 3)),
    ({"what": "weight", "got": "-1", "expected": "not negative"}, lambda: as_weights([[-1.0, 4.0, 0.0]], 3)),
]


@pytest.mark.parametrize(("name", "call"), NAMED)
def test_argument_that_is_not_finite_is_named(name: str, call: Callable[[], Any]) -> None:
    with refused(InputError, what=name, got=("1", "NaN or infinite")):
        call()


@pytest.mark.parametrize(("parts", "call"), TOLD)
def test_error_says_what_was_got_and_expected(parts: dict[str, Parts], call: Callable[[], Any]) -> None:
    with refused(InputError, **parts):
        call()

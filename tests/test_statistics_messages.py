"""An argument that cannot be used is named in the error, with what was got and what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

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

TOLD: list[tuple[str, Callable[[], Any]]] = [
    ("got 2 facts and 5 resamples; expected at least 3 and 2", lambda: fact_weights(2, 5, 0)),
    ("got 3 facts and 1 resamples; expected at least 3 and 2", lambda: fact_weights(3, 1, 0)),
    ("got subset sizes [2] of 3 facts; expected sizes from 3 to 3", lambda: kurtosis_by_size(EYE, [2], 2, 0)),
    ("got 1 draws; expected at least 2, for a spread", lambda: kurtosis_by_size(EYE, [3], 1, 0)),
    (
        "the weights are not counts of n drawn facts; expected whole numbers, each row summing to n",
        lambda: relative_change(EYE, 3, [[0.5, 1.0, 1.5]], 2, 0),
    ),
    (
        "got 3 facts, d = 0 and 2 draws; expected at least 3, 1 and 2",
        lambda: lengths_null([[1.0, 1.0, 1.0]], d=0, draws=2, seed=0),
    ),
    (
        "the smallest key length is 0; expected lengths, which are greater than 0",
        lambda: lengths_null([[1.0, 0.0, 1.0]], d=2, draws=2, seed=0),
    ),
    (
        "got arrays of shapes [(1, 3, 3), (1, 1, 3)] and 5 resamples; "
        "expected one shape (layers, edits, others), and 2 or more",
        lambda: crossed_bootstrap(lambda *_: 0.0, EYE[None], EYE[None, :1], resamples=5, seed=0),
    ),
    (
        "got no numbers to take the mean of; expected at least one",
        lambda: mean_replicates(np.empty(0), resamples=5, seed=0),
    ),
    (
        "the pair matrix has shape (3, 2); expected a square one, one row per fact",
        lambda: as_pair_matrix(np.ones((3, 2))),
    ),
    ("the pair matrix is between 2 facts; expected at least 3", lambda: as_pair_matrix(np.eye(2))),
    ("the weights are for 2 facts but the pair matrix is between 3", lambda: as_weights([[1.0, 1.0]], 3)),
    ("the smallest weight is -1; expected counts, which are not negative", lambda: as_weights([[-1.0, 4.0, 0.0]], 3)),
]


@pytest.mark.parametrize(("name", "call"), NAMED)
def test_argument_that_is_not_finite_is_named(name: str, call: Callable[[], Any]) -> None:
    with pytest.raises(InputError, match=f"^{name} contains 1 NaN or infinite entries of 1; "):
        call()


@pytest.mark.parametrize(("message", "call"), TOLD)
def test_error_says_what_was_got_and_expected(message: str, call: Callable[[], Any]) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        call()

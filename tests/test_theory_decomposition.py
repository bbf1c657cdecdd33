"""A fact's own part of its key, and mixtures of second moments: oracles, edges, planted faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from errors import refused
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from methods_oracles import made, shared_by_power_iteration, squares
from oracles import assert_close, tolerance
from strategies import EditProblem, SecondMomentCase, edit_problems, second_moments
from torch import Tensor

from ks_core.conformance.tolerances import whitened, whitened_norms
from ks_core.errors import InputError
from ks_core.theory.decomposition import mixed, own_part
from ks_core.theory.key_spaces import ProtectedWhitening, leading_directions, protect
from ks_core.theory.methods import Sequential
from ks_core.theory.superposition import superposition
from ks_core.theory.whitening import Whitening, whiten

IDENTITY = whiten(np.eye(3))
COUNTS = st.integers(0, 3)
OwnPart = Callable[[Whitening, Tensor, int], Any]
KINDS = ("generic", "clustered")


def gap(rows: Tensor, count: int) -> float:
    """Between the squared singular values of unit rows, the last taken out and the next, as a share of the largest."""
    singular = torch.linalg.svdvals(rows / squares(rows).sqrt()[:, None]).square()
    following = float(singular[count]) if count < len(singular) else 0.0
    return float(singular[count - 1] - following) / float(singular[0]) if count else 1.0


def what_many_share_is_taken_out(own: OwnPart, problem: EditProblem, count: int) -> None:
    """⟨whiten(a), whiten(b)⟩ is that of the whitened keys without the leading directions of the unit ones.

    The span turns by the rounding of the whitened keys over the gap of their squared singular values (Davis and Kahan).
    """
    many = torch.cat([problem.keys, problem.others])
    white = whitened(problem.moment, many)
    count = min(count, len(many) - 1, problem.moment.dim - 1)
    apart = gap(white, count)
    assume(apart > 0.01)  # else the oracle's span is rounding too
    shared = shared_by_power_iteration(white / squares(white).sqrt()[:, None], count)
    left_over = white - (white @ shared.T) @ shared
    found = own(whiten(problem.moment.matrix), many, count).whiten(many)
    norms = whitened_norms(problem, many)
    turned = tolerance(problem.moment.condition_number, problem.moment.dim, len(many)) / apart
    assert_close(found @ found.T, left_over @ left_over.T, turned * torch.outer(norms, norms))


@given(edit_problems(KINDS), COUNTS)
def test_what_many_share_is_taken_out(problem: EditProblem, count: int) -> None:
    what_many_share_is_taken_out(own_part, problem, count)


@given(edit_problems(KINDS, distinct=True), COUNTS)
def test_it_is_protection_of_the_shared_directions(problem: EditProblem, count: int) -> None:
    """`protect` with the keys that are whitened to them spans the same, and edits in both spaces are the same."""
    many, whitening = torch.cat([problem.keys, problem.others]), whiten(problem.moment.matrix)
    count = min(count, len(many) - 1)
    assume(count > 0)
    space = own_part(whitening, many, count)
    same = protect(whitening, whitening.unwhiten(space.basis))
    rounding = tolerance(problem.moment.condition_number, problem.moment.dim)
    assert_close(same.freedom(many), space.freedom(many), rounding)
    assume(float(space.freedom(problem.keys).min()) > 1e-3)  # an edit along rounding is refused, near it unlike
    edits = [made(Sequential(of), problem) for of in (space, same)]
    changes = [edit.delta() @ problem.moment.root for edit in edits]
    allowed = (
        rounding
        * 1e3**1.5
        * len(problem.keys)
        * float(edits[0].left.norm() * (edits[0].right @ problem.moment.root).norm())
    )
    assert_close(changes[0], changes[1], allowed)


@given(edit_problems(KINDS, distinct=True))
def test_no_shared_direction_feels_superposition(problem: EditProblem) -> None:
    """The direction's way into keys and back, a product and a solve with L, turns it by rounding of κ(L) = √κ(C)."""
    many, whitening = torch.cat([problem.keys, problem.others]), whiten(problem.moment.matrix)
    space = own_part(whitening, many, 1)
    assume(float(space.freedom(problem.keys).min()) > 1e-6)
    editors = space.whiten(problem.keys)
    shares = superposition(editors, space.whiten(whitening.unwhiten(space.basis)))
    turned = tolerance(problem.moment.condition_number**0.5, problem.moment.dim)
    assert_close(shares, torch.zeros_like(shares), turned / squares(editors).sqrt()[:, None])


@given(edit_problems())
def test_nothing_taken_out_is_the_whitening(problem: EditProblem) -> None:
    whitening = whiten(problem.moment.matrix)
    space = own_part(whitening, problem.keys, 0)
    assert_close(space.whiten(problem.others), whitening.whiten(problem.others), 0.0)
    assert_close(space.freedom(problem.keys), torch.ones(len(problem.keys), dtype=torch.float64), 0.0)


# --- mixtures ---------------------------------------------------------------------------------------------------------


def a_mixture_is_over_tokens(mix: Callable[..., Tensor], moment: SecondMomentCase, other: SecondMomentCase) -> None:
    """Of 3 tokens of the text and 1 of the others it is the mean of all 4 products, entry by entry."""
    for share, of_text, of_others in ((0.0, 1, 0), (0.25, 3, 1), (1.0, 0, 1)):
        rows, others = moment.matrix.tolist(), other.matrix.tolist()
        count = of_text + of_others
        mean = [
            [(of_text * a + of_others * b) / count for a, b in zip(*pair, strict=True)]
            for pair in zip(rows, others, strict=True)
        ]
        size = float(moment.matrix.abs().max() + other.matrix.abs().max())
        found = mix(moment.matrix, other.matrix, share)
        assert_close(found, torch.tensor(mean, dtype=torch.float64), 4 * torch.finfo(torch.float64).eps * size)


def pairs() -> st.SearchStrategy[tuple[SecondMomentCase, SecondMomentCase]]:
    return st.integers(1, 5).flatmap(lambda dim: st.tuples(second_moments(dim), second_moments(dim)))


@given(pairs())
def test_a_mixture_is_over_tokens(moments: tuple[SecondMomentCase, SecondMomentCase]) -> None:
    a_mixture_is_over_tokens(mixed, *moments)


def test_a_singular_part_makes_a_regular_mixture() -> None:
    assert whiten(mixed(np.eye(3), np.diag([1.0, 0.0, 0.0]), 0.5)).rank == 3


# --- refused ----------------------------------------------------------------------------------------------------------

KEYS = [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]


@pytest.mark.parametrize(("directions", "most"), [(3, 2), (10**6, 2)])
def test_more_directions_than_the_keys_span_are_refused(directions: int, most: int) -> None:
    with refused(InputError, what="directions", got=str(directions), expected=f"at most {most}", remedy="fewer"):
        own_part(IDENTITY, KEYS, directions)


def test_one_direction_is_left_to_write_along() -> None:
    with refused(InputError, what="directions", got="3", expected="at most 2", remedy="fewer"):
        own_part(IDENTITY, np.eye(3), 3)


@pytest.mark.parametrize("directions", [-1, 1.5, "2", None, True])
def test_directions_that_are_no_number_are_refused(directions: Any) -> None:
    with refused(InputError, what="directions is", expected=""):
        own_part(IDENTITY, KEYS, directions)


def test_a_zero_key_is_refused() -> None:
    with refused(InputError, what="key 1 is zero", remedy="leave it out"):
        own_part(IDENTITY, [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], 1)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), float("inf"), "0.5", None, True])
def test_a_share_that_is_none_is_refused(share: Any) -> None:
    with refused(InputError, what="share is", expected="a share of the mixture, from 0 to 1"):
        mixed(np.eye(2), np.eye(2), share)


def test_second_moments_of_two_widths_are_refused() -> None:
    with refused(InputError, what="the other second moment", got=("d_key=3", "d_key=2"), remedy="same layer"):
        mixed(np.eye(2), np.eye(3), 0.5)


def test_what_is_no_second_moment_is_named() -> None:
    with pytest.raises(InputError, match="the other second moment is not symmetric"):
        mixed(np.eye(2), [[1.0, 2.0], [0.0, 1.0]], 0.5)


# --- faults -----------------------------------------------------------------------------------------------------------


def spanned(choose: Callable[[Tensor, int], Tensor]) -> OwnPart:
    """Other directions, chosen from the whitened keys."""
    return lambda whitening, keys, count: ProtectedWhitening(whitening, choose(whitening.whiten(keys), count))


def leading(rows: Tensor) -> Tensor:
    return torch.linalg.svd(rows, full_matrices=False).Vh


FAULTS: dict[str, OwnPart] = {
    "last": spanned(lambda white, count: leading(white / squares(white).sqrt()[:, None]).flip(0)[:count]),
    "long_keys_count_more": spanned(lambda white, count: leading(white)[:count]),
    "centred": spanned(
        lambda white, count: leading((white / squares(white).sqrt()[:, None]) - white.mean(dim=0))[:count]
    ),
    "one_too_many": spanned(lambda white, count: leading(white / squares(white).sqrt()[:, None])[: count + 1]),
    "one_too_few": spanned(lambda white, count: leading(white / squares(white).sqrt()[:, None])[: max(0, count - 1)]),
    "not_whitened": lambda w, keys, count: ProtectedWhitening(w, leading(keys / squares(keys).sqrt()[:, None])[:count]),
    "first_keys": spanned(lambda white, count: torch.linalg.qr(white[:count].T).Q.T),
    "all": lambda w, keys, _: ProtectedWhitening(w, leading_directions(w, keys, "key")),
}
MIXTURES: dict[str, Callable[..., Tensor]] = {
    "swapped": lambda one, other, share: share * one + (1 - share) * other,
    "added": lambda one, other, share: one + share * other,
    "traces_alike": lambda one, other, share: mixed(one, other * one.trace() / other.trace(), share),
    "of_roots": lambda one, other, share: mixed(one, other, share**2),
}


def caught(law: Callable[..., None], drawn: st.SearchStrategy[Any], faulty: Any) -> None:
    @settings(phases=[Phase.generate], report_multiple_bugs=False)
    @given(drawn)
    def property_test(arguments: tuple[Any, ...]) -> None:
        law(faulty, *arguments)

    with pytest.raises(AssertionError, match="off by up to"):
        property_test()


@pytest.mark.parametrize("faulty", FAULTS.values(), ids=FAULTS)
def test_planted_fault_of_the_own_part_is_caught(faulty: OwnPart) -> None:
    caught(what_many_share_is_taken_out, st.tuples(edit_problems(KINDS), COUNTS), faulty)


@pytest.mark.parametrize("faulty", MIXTURES.values(), ids=MIXTURES)
def test_planted_fault_of_the_mixture_is_caught(faulty: Callable[..., Tensor]) -> None:
    caught(a_mixture_is_over_tokens, pairs(), faulty)

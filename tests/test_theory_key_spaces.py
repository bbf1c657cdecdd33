"""Spaces to edit in: what protection keeps and costs, what a null space holds, and what neither can do.

The laws are functions of an implementation, so that `test_theory_methods_faults.py` can hold a faulty one against them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import theory_laws as laws
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from methods_oracles import (
    Methods,
    allowed,
    dependence,
    first_edit,
    freedom_by_least_squares,
    made,
    share_between,
    squares,
    start_size,
)
from oracles import assert_close, tolerance
from strategies import MAX_DIM, EditProblem, SecondMomentCase, edit_problems, second_moments
from theory_faults import unit

from ks_core.theory.cholesky import EPS
from ks_core.theory.key_spaces import ALPHAEDIT_EIGENVALUE, null_space, protect
from ks_core.theory.superposition import superposition
from ks_core.theory.whitening import whiten

PACKAGE = Methods()
IDENTITY = whiten(np.eye(2))
INDEPENDENT = ("generic", "clustered", "whitened_orthogonal")


def nearly_bound(problem: EditProblem, digits: int = 4) -> EditProblem:
    """Keys that are a protected one but for the part 10^-digits, in a direction orthogonal to it."""
    return replace(problem, keys=problem.others[:1] + 10.0**-digits * problem.keys)


# --- protection -------------------------------------------------------------------------------------------------------


def protected_values_stay(theory: Methods, problem: EditProblem) -> None:
    """W_n k = W_0 k for every protected key, edited one after another and all at once."""
    for name in ("protected", "protected_joint"):
        method = theory.method(name, problem)
        edit = made(method, problem)
        after, before = (laws.values_at(w, problem.others) for w in (edit.apply(problem.weight), problem.weight))
        assert_close(after, before, allowed(problem, edit, method.space))


def directions_see_no_protected_key(theory: Methods, problem: EditProblem) -> None:
    """direction · k is rounding of the direction's own length, however little of the edited key is free.

    Only the triangular factor is solved with, so √κ(C) enters, and the edited key's own length does not.
    """
    directions = theory.protected(problem).solve(problem.keys)
    lengths = torch.linalg.vector_norm(directions @ problem.moment.root, dim=1)
    relative = tolerance(problem.moment.condition_number**0.5, problem.moment.dim)
    seen = directions @ problem.others.T
    bounds = relative * torch.outer(lengths, laws.whitened_norms(problem, problem.others))
    assert_close(seen, torch.zeros_like(seen), bounds)


def superposition_onto_protected_keys_is_zero(theory: Methods, problem: EditProblem) -> None:
    """P[i, p] = 0: what is left of a protected key is rounding of its whitened length."""
    space = theory.protected(problem)
    editors = space.whiten(problem.keys)
    shares = superposition(editors, space.whiten(problem.others))
    bounds = torch.outer(1 / squares(editors).sqrt(), laws.whitened_norms(problem, problem.others))
    assert_close(shares, torch.zeros_like(shares), tolerance(1.0, problem.moment.dim) * bounds)


def freedom_is_the_squared_sine(theory: Methods, problem: EditProblem) -> None:
    """freedom = sin² of the whitened angle to the protected span.

    A whitened key is off by the rounding of one triangular solve, and so is each that spans; the span turns by as much
    times their condition number.
    """
    expected = freedom_by_least_squares(problem, problem.keys, problem.others)
    turned = tolerance(problem.moment.condition_number, problem.moment.dim) * dependence(problem, problem.others) ** 0.5
    assert_close(theory.protected(problem).freedom(problem.keys), expected, turned)


def protection_has_its_price(theory: Methods, problem: EditProblem) -> None:
    """‖ΔW C^½‖ = ‖δ‖ / √(freedom · kᵀC⁻¹k), freedom the squared sine of the oracle."""
    one = first_edit(problem)
    residual = one.values[0] - one.weight @ one.keys[0]
    freedom = freedom_by_least_squares(one, one.keys, one.others)[0]
    price = residual.norm() / (freedom.sqrt() * laws.whitened_norms(one, one.keys)[0])
    cost = (made(theory.method("protected", one), one).delta() @ one.moment.root).norm()
    rounding = laws.rounding(one) * dependence(one, torch.cat([one.keys, one.others]))
    assert_close(cost, price, rounding * (float(price) + start_size(one)))


@given(edit_problems(INDEPENDENT, distinct=True))
def test_protected_values_stay(problem: EditProblem) -> None:
    protected_values_stay(PACKAGE, problem)


@given(edit_problems(INDEPENDENT, distinct=True))
def test_protected_values_stay_where_protected_keys_depend_on_each_other(problem: EditProblem) -> None:
    kept = torch.cat([problem.others, -2 * problem.others, problem.others.sum(dim=0, keepdim=True)])
    protected_values_stay(PACKAGE, replace(problem, others=kept))
    directions_see_no_protected_key(PACKAGE, replace(problem, others=kept))


@given(edit_problems(INDEPENDENT, distinct=True), st.integers(20, 100), st.integers(0, 2**32 - 1))
def test_protected_values_stay_however_many_edits(problem: EditProblem, count: int, seed: int) -> None:
    """Far more edits than dimensions: the same keys get new values again and again."""
    generator = np.random.default_rng(seed)
    chosen = torch.from_numpy(generator.integers(len(problem.keys), size=count))
    values = torch.from_numpy(generator.standard_normal((count, problem.values.shape[1])))
    long = replace(problem, keys=problem.keys[chosen], values=values)
    method = PACKAGE.method("protected", long)
    edit = made(method, long)
    after, rounding = edit.apply(long.weight), allowed(long, edit, method.space)
    assert_close(laws.values_at(after, long.others), laws.values_at(long.weight, long.others), rounding)
    assert_close(after @ long.keys[-1], long.values[-1], rounding)


@given(edit_problems(INDEPENDENT, distinct=True))
def test_protected_directions_see_no_protected_key(problem: EditProblem) -> None:
    directions_see_no_protected_key(PACKAGE, problem)


@given(edit_problems(("whitened_orthogonal",)), st.integers(1, 6))
def test_protected_directions_see_no_protected_key_that_is_all_but_edited(problem: EditProblem, digits: int) -> None:
    directions_see_no_protected_key(PACKAGE, nearly_bound(problem, digits))


@given(edit_problems(INDEPENDENT, distinct=True))
def test_protected_keys_feel_no_superposition(problem: EditProblem) -> None:
    superposition_onto_protected_keys_is_zero(PACKAGE, problem)


@given(edit_problems(INDEPENDENT, distinct=True))
def test_protected_edits_have_their_rank(problem: EditProblem) -> None:
    """n edits have rank n at most: all further singular values are rounding of the first."""
    for name in ("protected", "protected_joint"):
        edit = made(PACKAGE.method(name, problem), problem)
        assert edit.left.shape[1] == len(edit.right) == len(problem.keys)
        singular = torch.linalg.svdvals(edit.delta())
        further = singular[len(problem.keys) :]
        terms = edit.left.norm() * edit.right.norm()
        assert_close(further, torch.zeros_like(further), tolerance(1.0, max(edit.delta().shape)) * float(terms))


@given(edit_problems(INDEPENDENT, distinct=True))
def test_freedom_is_the_squared_sine(problem: EditProblem) -> None:
    freedom_is_the_squared_sine(PACKAGE, problem)


@given(edit_problems(INDEPENDENT, distinct=True))
def test_freedom_is_a_share(problem: EditProblem) -> None:
    everything = torch.cat([problem.keys, problem.others, problem.moment.root])
    for space in (PACKAGE.protected(problem), PACKAGE.null(problem)):
        freedom = space.freedom(everything)
        assert bool(((freedom >= 0) & (freedom <= 1)).all()), f"freedom outside [0, 1]: {freedom.tolist()}"


@given(edit_problems(("generic", "duplicates", "clustered", "whitened_orthogonal")))
def test_freedom_never_rises_with_more_protected_keys(problem: EditProblem) -> None:
    kept = problem.others[: problem.moment.dim - 1]
    assume(len(kept))
    whitening = whiten(problem.moment.matrix)
    path = torch.stack([protect(whitening, kept[: m + 1]).freedom(problem.keys) for m in range(len(kept))])
    # The spans are those of the same whitened rows, but each basis is computed anew. They turn by eps · condition.
    turned = tolerance(1.0, problem.moment.dim) * conditions(whitening.whiten(kept))
    rise = (path[1:] - path[:-1]).clamp(min=0)
    assert_close(rise, torch.zeros_like(rise), turned)


def conditions(rows: torch.Tensor) -> float:
    """Condition number of unit rows within their numerical rank."""
    singular = torch.linalg.svdvals(rows / squares(rows).sqrt()[:, None])
    return float(singular[0] / singular[singular > EPS * max(rows.shape) * singular[0]].min())


@given(edit_problems(INDEPENDENT, distinct=True))
def test_protection_has_its_price(problem: EditProblem) -> None:
    protection_has_its_price(PACKAGE, problem)


# --- null space -------------------------------------------------------------------------------------------------------


def null_space_holds_the_smallest_eigenvalues(
    theory: Methods, moment: SecondMomentCase, size: int = 1, scale: float = 1.0
) -> None:
    """Orthonormal, C maps it to itself, with the smallest eigenvalues there and as large a share as it says."""
    matrix, eigenvalues, relative = scale * moment.matrix, scale * moment.eigenvalues, tolerance(1.0, moment.dim)
    space = theory.null_space(matrix, variance=share_between(moment, size))
    inside = space.basis @ matrix @ space.basis.T
    assert len(space.basis) == size, f"expected {size} directions, got {len(space.basis)}"
    assert_close(space.basis @ space.basis.T, unit(size), relative)
    assert_close(space.basis @ matrix, inside @ space.basis, relative * float(eigenvalues[0]))
    inner = torch.linalg.eigvalsh((inside + inside.T) / 2)
    assert_close(inner, eigenvalues.flip(0)[:size], relative * float(eigenvalues[0]))
    assert_close(inside.trace() / matrix.trace(), torch.tensor(space.variance, dtype=torch.float64), relative)


def an_eigenvalue_cuts_where_it_says(theory: Methods, moment: SecondMomentCase, size: int = 1) -> None:
    """Between two eigenvalues, or above all of them, the space holds those below, and the share that they sum to.

    The eigenvalues of a cluster cannot be told apart by a cut, which then lies between them and the next.
    """
    rising = moment.eigenvalues.flip(0)
    size = max(k for k in range(1, moment.dim + 1) if k <= size or rising[k - 1] < rising[size - 1] * (1 + 1e-6))
    cut = float(2 * rising[-1] if size == moment.dim else (rising[size - 1] + rising[size]) / 2)
    space = theory.null_space(moment.matrix, eigenvalue=cut)
    assert len(space.basis) == size, f"expected {size} directions, got {len(space.basis)}"
    share, relative = rising[:size].sum() / rising.sum(), tolerance(1.0, moment.dim)
    inside = (space.basis @ moment.matrix @ space.basis.T).trace() / moment.matrix.trace()
    assert_close(inside, share, relative)
    assert_close(torch.tensor(space.variance, dtype=torch.float64), share, relative)


@given(second_moments(), st.integers(1, MAX_DIM))
def test_an_eigenvalue_cuts_where_it_says(moment: SecondMomentCase, size: int) -> None:
    an_eigenvalue_cuts_where_it_says(PACKAGE, moment, min(size, moment.dim))


def test_an_eigenvalue_at_the_cut_stays_out() -> None:
    """AlphaEdit's code keeps those below, not those at it."""
    assert null_space(np.diag([0.02, 0.01, 3.0]), eigenvalue=ALPHAEDIT_EIGENVALUE).basis.abs().tolist() == [[0, 1, 0]]


@given(second_moments(), st.integers(1, 6), st.sampled_from([1e-5, 1.0, 3.0, 1e5]))
def test_null_space_holds_the_smallest_eigenvalues_at_any_scale(
    moment: SecondMomentCase, size: int, scale: float
) -> None:
    assume(size < moment.dim)
    null_space_holds_the_smallest_eigenvalues(PACKAGE, moment, size, scale)


@given(second_moments(), st.floats(0.0, 1.0, exclude_min=True, exclude_max=True))
def test_null_space_is_as_large_as_its_share_allows(moment: SecondMomentCase, variance: float) -> None:
    shares = moment.eigenvalues.flip(0) / moment.eigenvalues.sum()
    rounding = tolerance(1.0, moment.dim)
    assume(float(shares[0]) + rounding < variance < 1 - rounding)
    space = null_space(moment.matrix, variance=variance)
    assert space.variance <= variance
    assert space.variance + float(shares[len(space.basis)]) > variance - rounding


def test_null_space_may_hold_the_whole_share() -> None:
    """Of a trace of 4, 1 is the quarter that is allowed, to the last bit."""
    space = null_space(np.diag([3.0, 1.0]), variance=0.25)
    assert (space.basis.abs().tolist(), space.variance) == ([[0.0, 1.0]], 0.25)

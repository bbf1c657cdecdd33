"""Closed-form edits: streams against the slow oracle, the lossless theorem far out, and what is refused.

What any editor must obey is held by the conformance suite, with the package's among its references
(`test_conformance_zoo.py`); here are widths, numbers of edits and ridges that the suite does not draw.
"""

from __future__ import annotations

import numpy as np
import pytest
import theory_laws as laws
import torch
from errors import refused
from hypothesis import given
from hypothesis import strategies as st
from oracles import assert_close, tolerance
from strategies import EditProblem, edit_problems, key_rows, second_moments
from theory_editors import joint_of, stream_of
from theory_laws import Theory
from torch.utils._python_dispatch import TorchDispatchMode

from ks_core.conformance.editors import Editor
from ks_core.conformance.registry import LAWS
from ks_core.errors import InputError, RankDeficientError
from ks_core.theory.editing import Edit, joint_edit, lifelong_edits, single_edit
from ks_core.theory.whitening import whiten

PACKAGE = Theory()
IDENTITY = whiten(np.eye(2))


def obeys(law: str, editor: Editor, problem: EditProblem) -> None:
    """An editor holds a law of the conformance suite on a problem that need not be one of the suite's."""
    for gap in LAWS[law].check(editor, problem):
        assert gap.ratio <= 1, f"{gap.what}: off by {gap.size:g}, {gap.allowed:g} allowed"


@given(edit_problems(("whitened_orthogonal",)), st.integers(20, 200), st.integers(0, 2**32 - 1))
def test_lifelong_edits_of_orthogonal_keys_are_lossless_however_many(
    problem: EditProblem, count: int, seed: int
) -> None:
    """Far more edits than dimensions: the same orthogonal keys come back again and again."""
    generator = np.random.default_rng(seed)
    chosen = torch.from_numpy(generator.integers(len(problem.keys), size=count))
    values = torch.from_numpy(generator.standard_normal((count, problem.values.shape[1])))
    long = EditProblem(problem.moment, problem.weight, problem.keys[chosen], values, problem.others)
    after = PACKAGE.lifelong(long).edit.apply(problem.weight)
    allowed = laws.rounding(long) * laws.value_scale(long)
    assert_close(laws.values_at(after, problem.others), laws.values_at(problem.weight, problem.others), allowed)
    for which in set(chosen.tolist()):
        last = int(torch.nonzero(chosen == which).max())
        assert_close(after @ problem.keys[which], values[last], allowed)


@given(st.data())
def test_lifelong_edits_of_all_but_one_direction_are_lossless_at_width_64(data: st.DataObject) -> None:
    moment = data.draw(second_moments(64))
    rows = data.draw(key_rows(moment, 64, "whitened_orthogonal"))
    generator = np.random.default_rng(0)
    weight, values = (torch.from_numpy(generator.standard_normal(shape)) for shape in ((5, 64), (63, 5)))
    problem = EditProblem(moment, weight, rows[:63], values, rows[63:])
    obeys("orthogonal_keys_are_edited_without_loss", stream_of(PACKAGE), problem)


@given(edit_problems())
def test_lifelong_edits_equal_step_by_step(problem: EditProblem) -> None:
    laws.triangular_solve_is_step_by_step(PACKAGE, problem)


@given(edit_problems())
def test_lifelong_edits_are_exact_when_made(problem: EditProblem) -> None:
    laws.every_edit_is_exact_when_made(PACKAGE, problem)


@given(edit_problems())
def test_single_edit_is_the_stream_of_one(problem: EditProblem) -> None:
    space = whiten(problem.moment.matrix)
    one = single_edit(problem.weight, problem.keys[0], problem.values[0], space)
    stream = lifelong_edits(problem.weight, problem.keys[:1], problem.values[:1], space).edit
    assert torch.equal(one.left, stream.left)
    assert torch.equal(one.right, stream.right)


@given(edit_problems(("generic", "clustered", "whitened_orthogonal"), distinct=True))
def test_joint_edit_of_any_width_is_exact_for_all(problem: EditProblem) -> None:
    obeys("every_edit_holds", joint_of(PACKAGE), problem)


@given(edit_problems(("generic", "duplicates", "clustered")), st.sampled_from([0.01, 0.5, 3.0]))
def test_joint_edit_with_any_ridge_is_the_closed_form(problem: EditProblem, ridge: float) -> None:
    obeys("closed_form_ridge", joint_of(PACKAGE, ridge), problem)


@given(edit_problems(("generic",), distinct=True))
def test_joint_edit_ridge_limits(problem: EditProblem) -> None:
    """ridge → 0 gives the exact edit; ridge → ∞ gives Rᵀ K C⁻¹ / ridge, which vanishes."""
    whitening = whiten(problem.moment.matrix)
    arguments = (problem.weight, problem.keys, problem.values, whitening)
    root = problem.moment.root
    rows = whitening.whiten(problem.keys)
    eigenvalues = torch.linalg.eigvalsh(rows @ rows.T)
    residuals = problem.values - problem.keys @ problem.weight.T
    # (ridge I + G)⁻¹ differs from G⁻¹ by ridge / λ_min of it, and from I / ridge by λ_max / ridge of it.
    small, large = 1e-6 * float(eigenvalues[0]), 1e6 * float(eigenvalues[-1])
    exact = joint_edit(*arguments).delta() @ root
    scale = float(torch.linalg.matrix_norm(residuals) * rows.norm() / eigenvalues[0])
    rounding = laws.rounding(problem) * float(eigenvalues[-1] / eigenvalues[0])
    assert_close(joint_edit(*arguments, ridge=small).delta() @ root, exact, (2e-6 + rounding) * scale)
    first_order = residuals.T @ whitening.solve(problem.keys) @ root
    scale = float(torch.linalg.matrix_norm(residuals) * rows.norm())
    allowed = (2e-6 + laws.rounding(problem)) * scale
    assert_close(joint_edit(*arguments, ridge=large).delta() @ root * large, first_order, allowed)


def test_joint_edit_of_repeated_keys_is_refused_but_lifelong_is_not() -> None:
    keys, values = [[1.0, 2.0], [1.0, 2.0]], [[3.0], [4.0]]
    with pytest.raises(RankDeficientError, match="2 keys of a joint edit span only 1 directions"):
        joint_edit(np.zeros((1, 2)), keys, values, IDENTITY)
    after = lifelong_edits(np.zeros((1, 2)), keys, values, IDENTITY).edit.apply(np.zeros((1, 2)))
    assert_close(after @ torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor([4.0]), tolerance(1.0, 2, 2) * 4)


def test_joint_edit_of_more_keys_than_dimensions_is_refused_without_ridge() -> None:
    keys, values = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [[1.0], [2.0], [4.0]]
    with pytest.raises(RankDeficientError, match="span only 2 directions"):
        joint_edit(np.zeros((1, 2)), keys, values, IDENTITY)
    assert joint_edit(np.zeros((1, 2)), keys, values, IDENTITY, ridge=1.0).delta().shape == (1, 2)


@pytest.mark.parametrize(("d_key", "singular"), [(2, False), (400, True)])
def test_joint_edit_allows_for_the_rounding_of_wide_keys(d_key: int, singular: bool) -> None:
    """Keys whose Gram matrix is singular to 50 eps: two products per entry resolve that, 400 products do not."""
    keys = np.zeros((2, d_key))
    keys[:, 0], keys[1, 1] = 1.0, np.sqrt(4 * 50 * np.finfo(float).eps)  # eigenvalues of G: 2 and 100 eps
    arguments = (np.zeros((1, d_key)), keys, np.ones((2, 1)), whiten(np.eye(d_key)))
    if singular:
        with pytest.raises(RankDeficientError, match="span only 1 directions"):
            joint_edit(*arguments)
    else:
        assert joint_edit(*arguments).delta().shape == (1, d_key)


def test_edit_leaves_the_given_weight_alone() -> None:
    weight = np.ones((1, 2))
    assert single_edit(weight, [1.0, 0.0], [5.0], IDENTITY).apply(weight).tolist() == [[5.0, 1.0]]
    assert weight.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize(
    ("weight", "keys", "values", "message"),
    [
        (np.zeros((3, 2)), [[1.0, 1.0, 1.0]], [[1.0, 1.0]], "transpose the weight"),
        (np.zeros((1, 2)), [[1.0, 1.0]], [[1.0, 1.0]], "transpose the weight"),
        (np.zeros((1, 3)), [[1.0, 1.0, 1.0]], [[1.0]], "keys have d_key=3 but the second moment has d_key=2"),
        (np.zeros((1, 2)), [[1.0, 1.0]], [[1.0], [2.0]], "1 keys but 2 values"),
        (np.zeros((1, 2)), [[1.0, 1.0], [0.0, 0.0]], [[1.0], [2.0]], "key 1 is zero"),
        (np.full((1, 2), np.nan), [[1.0, 1.0]], [[1.0]], "weight contains 2 NaN or infinite"),
    ],
)
def test_edits_refuse_what_does_not_fit(weight: object, keys: object, values: object, message: str) -> None:
    for method in (lifelong_edits, joint_edit):
        with pytest.raises(InputError, match=message):
            method(weight, keys, values, IDENTITY)


@pytest.mark.parametrize("ridge", [-1.0, float("inf"), float("nan")])
def test_joint_edit_refuses_a_bad_ridge(ridge: float) -> None:
    with pytest.raises(InputError, match="ridge is"):
        joint_edit(np.zeros((1, 2)), [[1.0, 0.0]], [[1.0]], IDENTITY, ridge=ridge)


def test_edit_refuses_factors_and_weights_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="factors have shapes"):
        Edit(torch.zeros(3, 2), torch.zeros(3, 4))
    with refused(InputError, what="weight", got=("(4, 3)", "(3, 4)")):
        Edit(torch.zeros(3, 2), torch.zeros(2, 4)).apply(np.zeros((4, 3)))


class LargeResults(TorchDispatchMode):
    """Counts results of operations that have as many numbers as a (200, 300) weight."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.count += sum(torch.is_tensor(part) and part.numel() >= 200 * 300 for part in (out, *_parts(out)))
        return out


def _parts(out: object) -> tuple[object, ...]:
    return out if isinstance(out, tuple) else ()


def test_lifelong_edits_make_no_copy_of_the_weight_for_an_edit() -> None:
    """Memory is O(n d): as many large results for five edits as for one, those of checking the given weight once."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    weight, keys, values, whitening = draw(200, 300), draw(5, 300), draw(5, 200), whiten(torch.eye(300))
    counts = []
    for edits in (1, 5):
        with LargeResults() as large:
            lifelong_edits(weight, keys[:edits], values[:edits], whitening)
        counts.append(large.count)
    assert counts[0] == counts[1]
    with LargeResults() as large:
        lifelong_edits(weight, keys, values, whitening).edit.apply(weight)
    assert large.count > counts[1], "the edited weight itself is one"

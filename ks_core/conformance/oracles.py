"""What an editor should have returned, slow and obvious, in exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

from torch import Tensor

from ks_core.conformance.rational import Matrix, dot, exact, inverse, rounded, times
from ks_core.conformance.strategies import EditProblem
from ks_core.theory.traits import Traits


def closed_form(problem: EditProblem, traits: Traits) -> Tensor:
    """The edited weight by the formula that the traits claim.

        u_i  = C⁻¹ (k_i − K₀ᵀ (K₀C⁻¹K₀ᵀ)⁻¹ K₀C⁻¹k_i)            K₀ the protected keys; C⁻¹k_i without any
        one after another:  W_i = W_{i−1} + share · (v_i − W_{i−1}k_i) u_iᵀ / (ridge + u_iᵀk_i)
        all at once:        W' = W + share · Rᵀ (ridge · I + U Kᵀ)⁻¹ U,   R = V − K Wᵀ

    C is the problem's metric, which is the identity for an editor that does not use the text's.

    Returns:
        (d_value, d_key) float64, correctly rounded.
    """
    weight, keys, values = exact(problem.weight), exact(problem.keys), exact(problem.values)
    directions = _directions(problem)
    update = _one_after_another if traits.order == "sequential" else _all_at_once
    return rounded(update(weight, keys, values, directions, Fraction(traits.ridge), Fraction(traits.share)))


def _directions(problem: EditProblem) -> Matrix:
    """Row i is u_i: the direction in which edit i is written."""
    inverted = inverse(exact(problem.moment.matrix))
    solved = [times(inverted, key) for key in exact(problem.keys)]
    if problem.protected is None:
        return solved
    protected = exact(problem.protected)
    spanned = [times(inverted, key) for key in protected]
    among = inverse([[dot(row, key) for key in protected] for row in spanned])
    return [_less(row, spanned, times(among, [dot(row, key) for key in protected])) for row in solved]


def _less(row: list[Fraction], others: Matrix, shares: list[Fraction]) -> list[Fraction]:
    """The row minus its shares of the other rows."""
    columns = list(zip(*others, strict=True))
    return [entry - dot(shares, list(column)) for entry, column in zip(row, columns, strict=True)]


def _one_after_another(
    weight: Matrix, keys: Matrix, values: Matrix, directions: Matrix, ridge: Fraction, share: Fraction
) -> Matrix:
    for key, value, direction in zip(keys, values, directions, strict=True):
        size = ridge + dot(direction, key)
        step = [share * (wanted - got) / size for wanted, got in zip(value, times(weight, key), strict=True)]
        weight = [[w + s * u for w, u in zip(row, direction, strict=True)] for row, s in zip(weight, step, strict=True)]
    return weight


def _all_at_once(
    weight: Matrix, keys: Matrix, values: Matrix, directions: Matrix, ridge: Fraction, share: Fraction
) -> Matrix:
    system = [
        [dot(direction, key) + (ridge if i == j else 0) for j, key in enumerate(keys)]
        for i, direction in enumerate(directions)
    ]
    inverted = inverse(system)  # symmetric, as U Kᵀ is
    residuals = [
        [share * (wanted - got) for wanted, got in zip(value, times(weight, key), strict=True)]
        for key, value in zip(keys, values, strict=True)
    ]
    per_value = [times(inverted, list(column)) for column in zip(*residuals, strict=True)]
    columns = [list(column) for column in zip(*directions, strict=True)]
    return [
        [w + dot(shares, column) for w, column in zip(row, columns, strict=True)]
        for row, shares in zip(weight, per_value, strict=True)
    ]

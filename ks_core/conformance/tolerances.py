"""How far rounding may take an editor's answer from the exact one: from eps and the condition number alone."""

from __future__ import annotations

import torch
from torch import Tensor

from ks_core.conformance.strategies import EditProblem, SecondMomentCase
from ks_core.theory.traits import DTYPES, Traits

UNIT_ROUNDOFF = torch.finfo(torch.float64).eps / 2


def tolerance(condition_number: float, d_key: int, edits: int = 1, unit_roundoff: float = UNIT_ROUNDOFF) -> float:
    """Rounding error that a product ⟨L⁻¹a, L⁻¹b⟩ may have, relative to ‖L⁻¹a‖ ‖L⁻¹b‖.

        4 d (3 d + 1) u · condition_number · edits

    A solve by Cholesky is exact for some C + ΔC with ‖ΔC‖₂ ≤ 4 d (3 d + 1) u ‖C‖₂ (Higham, "Accuracy and Stability of
    Numerical Algorithms", ch. 10), which moves the product by at most ‖ΔC‖₂ ‖C⁻¹‖₂. An edit is a projection in the
    whitened space and does not amplify the errors of those before it; they add up.
    """
    return 4 * d_key * (3 * d_key + 1) * unit_roundoff * condition_number * edits


def rounding(problem: EditProblem) -> float:
    """Relative rounding error of a whole stream that solves by Cholesky; see `tolerance`."""
    return tolerance(problem.moment.condition_number, problem.moment.dim, len(problem.keys))


def weight_scale(problem: EditProblem) -> float:
    """A bound on ‖W_i C^½‖, the values of whitened keys of length 1, through the whole stream.

    In whitened coordinates W_i = W_{i−1} (I − aaᵀ/aᵀa) + v aᵀ/aᵀa, so each edit adds at most ‖v‖ / ‖a‖ to ‖W‖. With
    protected keys only a' is written, a without their span; the rest of a then counts as a part of the value to reach.
    """
    values = torch.linalg.vector_norm(problem.values, dim=1)
    start = torch.linalg.matrix_norm(problem.weight, 2) * problem.moment.eigenvalues.max().sqrt()
    shortest = whitened_norms(problem, torch.cat([problem.keys, problem.others])).min()
    if problem.protected is not None:
        values = values + start * whitened_norms(problem, problem.keys)
        shortest = torch.linalg.vector_norm(free_rows(problem), dim=1).min()
    return float(start + values.sum() / shortest)


def longest(problem: EditProblem) -> float:
    """‖L⁻¹k‖ of the longest key that is edited or felt: what values at keys are larger by than at keys of length 1."""
    return float(whitened_norms(problem, torch.cat([problem.keys, problem.others])).max())


def value_scale(problem: EditProblem) -> float:
    """A bound on every value and residual of the stream."""
    return weight_scale(problem) * longest(problem)


def allowed(problem: EditProblem, traits: Traits) -> float:
    """Rounding error that W'C^½ may have after the edits of any editor with these traits; times `longest` at keys.

        (4 d (3 d + 1) u · κ^{3/2} · amplification + 3 u' κ^{1/2}) · n · weight scale

    with u of the arithmetic and u' of the arrays, where these are narrower. Each edit may round three things to them,
    the residual, the update and the sum, by u' ‖W'‖ ‖C^½‖ ≤ u' κ^½ ‖W'C^½‖ at the text's keys.

    κ^{3/2} and not κ as in `tolerance`: editors that form C⁻¹ are to pass too. Each column of a computed inverse is
    exact for a matrix of its own, C + ΔC_j, so the error of k'ᵀC⁻¹k is bounded by ‖C⁻¹k'‖ ‖ΔC‖ ‖C⁻¹‖ ‖k‖, which is
    u κ^{3/2} of the whitened norms.
    """
    condition, edits = problem.moment.condition_number, max(1, len(problem.keys))
    unit_roundoff = torch.finfo(traits.arithmetic).eps / 2
    relative = tolerance(condition**1.5, problem.moment.dim, edits, unit_roundoff) * amplification(problem, traits)
    stored = max(torch.finfo(dtype).eps / 2 for dtype in (traits.result, DTYPES[traits.dtype]))
    if stored > unit_roundoff:
        relative += 3 * stored * condition**0.5 * edits
    return relative * weight_scale(problem)


def update_of_values(problem: EditProblem, traits: Traits) -> Tensor:
    """ΔW C^½ of the closed form, (d_value, d_key) float64, in the coordinates of C's eigenvectors.

    In float64 and from the spectrum that C was built from: as exact as an effect has to be that tolerances are compared
    with, and quicker than `closed_form`.
    """
    rows, weight = free_rows(problem), problem.weight
    start = (problem.values - problem.keys @ weight.T) * traits.share
    if not len(rows):
        return torch.zeros_like(weight)
    among = rows @ whitened(problem.moment, problem.keys).T
    identity = traits.ridge * torch.eye(len(rows), dtype=torch.float64)
    if traits.order == "joint":
        jointly: Tensor = torch.linalg.solve(among + identity, start).T @ rows
        return jointly
    sizes = among.diagonal() + traits.ridge
    shares = traits.share * among / sizes[:, None]  # what edit i adds at key j of its own residual
    written: Tensor = torch.linalg.solve_triangular(shares.T, start, upper=False, unitriangular=True)
    return (written / sizes[:, None]).T @ rows


def effect(problem: EditProblem, traits: Traits) -> float:
    """The largest change that the edits make to a value of the text, in the units of `allowed`."""
    update = update_of_values(problem, traits) @ problem.moment.basis.T
    return float(update.abs().max()) if update.numel() else 0.0


def at_keys(problem: EditProblem, traits: Traits) -> tuple[float, float]:
    """`allowed` and `effect` at the problem's keys, which are longer or shorter than 1."""
    length = longest(problem)
    return allowed(problem, traits) * length, effect(problem, traits) * length


def amplification(problem: EditProblem, traits: Traits) -> float:
    """How much the systems that are solved beyond C add to its condition number; 1 where none is."""
    rows = free_rows(problem)
    factor = 1.0
    if problem.protected is not None:
        # K₀C⁻¹K₀ᵀ is inverted, and what is left of a key is shorter than the key.
        protected = torch.linalg.cond(whitened(problem.moment, problem.protected))
        left = whitened_norms(problem, problem.keys) / torch.linalg.vector_norm(rows, dim=1)
        factor *= float(protected**2 * left.max() ** 2)
    if traits.ridge:
        # ridge I + G has eigenvalues from ridge up to its trace, which is the sum of the squared whitened norms.
        factor *= 1 + float(rows.square().sum()) / traits.ridge
    elif traits.order == "joint":
        factor *= float(torch.linalg.cond(rows)) ** 2
    return factor


def whitened(moment: SecondMomentCase, keys: Tensor) -> Tensor:
    """Keys in coordinates in which C is the identity, from the spectrum that C was built from."""
    rows: Tensor = (keys @ moment.basis) / moment.eigenvalues.sqrt()
    return rows


def whitened_norms(problem: EditProblem, keys: Tensor) -> Tensor:
    """‖L⁻¹k‖ of each key, (n,)."""
    norms: Tensor = torch.linalg.vector_norm(whitened(problem.moment, keys), dim=1)
    return norms


def free_rows(problem: EditProblem) -> Tensor:
    """The whitened keys without their part in the span of the whitened protected keys, (n, d_key)."""
    rows = whitened(problem.moment, problem.keys)
    if problem.protected is None:
        return rows
    span, _ = torch.linalg.qr(whitened(problem.moment, problem.protected).T)
    free: Tensor = rows - (rows @ span) @ span.T
    return free

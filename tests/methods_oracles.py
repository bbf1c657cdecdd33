"""Slow and obvious versions of the methods, and the rounding that the fast ones may have.

All rounding that is allowed is relative to what an edit adds up, as the text sees it: a key k reads from one of the
terms of ΔW at most ‖left_i‖ ‖right_i C^½‖ ‖L⁻¹k‖.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import theory_laws as laws
import torch
from hypothesis import assume
from oracles import Matrix, dot, exact, inverse, rounded, tolerance, zca_whitening
from strategies import EditProblem, SecondMomentCase
from torch import Tensor

from ks_core.theory import interference, key_spaces, methods
from ks_core.theory.cholesky import EPS
from ks_core.theory.editing import Edit
from ks_core.theory.whitening import whiten

METHODS = ("sequential", "joint", "ridged", "batched", "null_space", "protected", "protected_joint")
RIDGE = 0.5


@dataclass(frozen=True)
class Methods:
    """An implementation of the methods: the package's own unless a part is replaced."""

    protect: Callable[..., Any] = key_spaces.protect
    null_space: Callable[..., Any] = key_spaces.null_space
    sequential: Callable[..., Any] = methods.Sequential
    joint: Callable[..., Any] = methods.Joint
    batched: Callable[..., Any] = methods.Batched
    written: Callable[..., Tensor] = Edit.written
    predicted_at_edits: Callable[..., Tensor] = interference.predicted_at_edits

    def protected(self, problem: EditProblem) -> Any:
        return self.protect(whiten(problem.moment.matrix), problem.others)

    def null(self, problem: EditProblem) -> Any:
        """Half of the directions; only for problems whose keys have a part in them that is more than rounding."""
        space = self.null_space(problem.moment.matrix, variance=share_between(problem.moment, problem.moment.dim // 2))
        part = squares(problem.keys @ space.basis.T) / squares(problem.keys)
        assume(float(part.min()) > 2 * problem.moment.dim**2 * EPS)
        return space

    def method(self, name: str, problem: EditProblem) -> Any:
        if name == "null_space":
            return self.joint(self.null(problem), ridge=1.0)
        space = self.protected(problem) if name.startswith("protected") else whiten(problem.moment.matrix)
        if name == "ridged":
            return self.joint(space, ridge=RIDGE)
        if name == "batched":
            return self.batched(space, 2, ridge=RIDGE)
        return self.joint(space) if name.endswith("joint") else self.sequential(space)


# --- slow and obvious -------------------------------------------------------------------------------------------------


def least_update_by_kkt(problem: EditProblem, protected: Tensor | None = None) -> Tensor:
    """The ΔW of least ‖ΔW C^½‖ with ΔW k_i = v_i − W k_i and ΔW k = 0 for protected keys, in exact arithmetic.

    Lagrange's conditions as one linear system: C ΔWᵀ + Kᵀ Λ = 0, K ΔWᵀ = R, the rows of K edited and protected keys.
    """
    moment, edited = exact(problem.moment.matrix), exact(problem.keys)
    rows = edited if protected is None else edited + exact(protected)
    residuals = combined(exact(problem.values), product(edited, transposed(exact(problem.weight))), sign=-1)
    system = [line + list(column) for line, column in zip(moment, zip(*rows, strict=True), strict=True)]
    system += [row + [Fraction(0)] * len(rows) for row in rows]
    none = [Fraction(0)] * len(problem.weight)
    right = [none] * len(moment) + residuals + [none] * (len(rows) - len(edited))
    return rounded(transposed(product(inverse(system), right)[: len(moment)]))


def ridged_by_stacking(rows: Tensor, residuals: Tensor, ridge: float) -> Tensor:
    """The X that minimises ‖rows Xᵀ − R‖² + ridge ‖X‖²: ordinary least squares with √ridge · I stacked below."""
    size = rows.shape[1]
    stacked = np.vstack([rows.numpy(), ridge**0.5 * np.eye(size)])
    right = np.vstack([residuals.numpy(), np.zeros((size, residuals.shape[1]))])
    return torch.from_numpy(np.linalg.lstsq(stacked, right, rcond=None)[0]).T


def freedom_by_least_squares(problem: EditProblem, keys: Tensor, protected: Tensor) -> Tensor:
    """sin² of the angle to the protected span: what least squares leaves of a key whitened by C^-½."""
    root = zca_whitening(problem.moment.matrix)
    rows, span = (keys @ root).numpy(), (protected @ root).numpy()
    left_over = rows - np.linalg.lstsq(span.T, rows.T, rcond=None)[0].T @ span
    return torch.from_numpy(np.square(left_over).sum(axis=1) / np.square(rows).sum(axis=1))


def alphaedit_by_batches(
    problem: EditProblem, projector: Tensor, ends: Sequence[int], ridge: float = 1.0
) -> list[Tensor]:
    """The published update, batch after batch in exact arithmetic: W after each, batch b up to edit ends[b].

        ΔW = R K₁ᵀ P (K_p K_pᵀ P + K₁ K₁ᵀ P + L2 I)⁻¹           (Fang et al. 2025; keys in columns)

    K₁ has the batch's keys, K_p those of all earlier ones, R = V₁ − W K₁ at the weight that they left, L2 is `ridge`.
    """
    keys, values, project = exact(problem.keys), exact(problem.values), exact(projector)
    unit = exact(ridge * torch.eye(len(projector), dtype=torch.float64))
    weight, path = exact(problem.weight), []
    for start, end in zip([0, *ends], ends, strict=False):
        batch, so_far = keys[start:end], keys[:end]
        system = combined(product(product(transposed(so_far), so_far), project), unit)
        residuals = combined(transposed(values[start:end]), product(weight, transposed(batch)), sign=-1)
        weight = combined(weight, product(product(product(residuals, batch), project), inverse(system)))
        path.append(rounded(weight))
    return path


def batches_one_after_another(problem: EditProblem, size: int, ridge: float) -> list[Tensor]:
    """W after each batch in exact arithmetic, W + Rᵀ (ridge I + K C⁻¹Kᵀ)⁻¹ K C⁻¹ with R = V − K Wᵀ of the batch."""
    inverted, weight, path = inverse(exact(problem.moment.matrix)), exact(problem.weight), []
    for start in range(0, len(problem.keys), size):
        keys, values = exact(problem.keys[start : start + size]), exact(problem.values[start : start + size])
        directions = product(keys, inverted)
        identity = exact(ridge * torch.eye(len(keys), dtype=torch.float64))
        system = combined(product(directions, transposed(keys)), identity)
        residuals = combined(values, product(keys, transposed(weight)), sign=-1)
        weight = combined(weight, product(transposed(residuals), product(inverse(system), directions)))
        path.append(rounded(weight))
    return path


def pruned_densely(delta: Tensor, weight: Tensor, base: float) -> Tensor:
    """PRUNE from the dense singular values, one by one: σ > s becomes log_base σ − log_base s + s."""
    left, singular, right = np.linalg.svd(delta.numpy(), full_matrices=False)
    largest = np.linalg.svd(weight.numpy(), compute_uv=False)[0]
    for i, value in enumerate(singular):
        if value > largest:
            singular[i] = np.log(value) / np.log(base) - np.log(largest) / np.log(base) + largest
    return torch.from_numpy(left @ np.diag(singular) @ right)


def shared_by_power_iteration(rows: Tensor, count: int) -> Tensor:
    """Orthonormal rows that hold most of unit rows, one after another: the leading eigenvectors of their Gram matrix.

    Each is found by squaring what is left of the Gram matrix, until only its largest eigenvalue is.
    """
    gram, found = rows.T @ rows, []
    for _ in range(count):
        power = gram / gram.norm()
        for _ in range(60):
            power = power @ power
            power = power / power.norm()
        vector = power[:, int(power.diagonal().argmax())]
        found.append(vector / vector.norm())
        gram = gram - torch.outer(gram @ found[-1], found[-1])
        gram = gram - torch.outer(found[-1], found[-1] @ gram)
    return torch.stack(found) if found else rows.new_zeros(0, rows.shape[1])


def transposed(matrix: Matrix) -> Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]


def product(left: Matrix, right: Matrix) -> Matrix:
    columns = transposed(right)
    return [[dot(row, column) for column in columns] for row in left]


def combined(left: Matrix, right: Matrix, sign: int = 1) -> Matrix:
    """left ± right."""
    return [[a + sign * b for a, b in zip(row, other, strict=True)] for row, other in zip(left, right, strict=True)]


# --- what rounding may do ---------------------------------------------------------------------------------------------


def squares(rows: Tensor) -> Tensor:
    return rows.square().sum(dim=1)


def start_size(problem: EditProblem) -> float:
    """‖W C^½‖₂."""
    return float(torch.linalg.matrix_norm(problem.weight @ problem.moment.root, 2))


def squeeze(space: Any, keys: Tensor) -> float:
    """1 / √freedom: how much more the rounding of a key is, relative to the part of it that an edit writes along."""
    return float(space.freedom(keys).min()) ** -0.5 if hasattr(space, "freedom") else 1.0


def allowed(problem: EditProblem, edit: Edit, space: Any) -> float:
    """Rounding of the values that an edit leaves, at its own keys, others and keys as long as the text's."""
    root = problem.moment.root
    everywhere = torch.cat([problem.keys, problem.others, root])
    terms = torch.linalg.vector_norm(edit.left, dim=0) @ torch.linalg.vector_norm(edit.right @ root, dim=1)
    read = (start_size(problem) + float(terms)) * float(laws.whitened_norms(problem, everywhere).max())
    values = float(torch.linalg.vector_norm(problem.values, dim=1).max())
    return laws.rounding(problem) * squeeze(space, problem.keys) * (read + values)


def dependence(problem: EditProblem, rows: Tensor) -> float:
    """Squared condition number of the whitened keys, all of length 1: what a solve with their Gram matrix costs.

    No key's freedom from the others is less than its inverse.
    """
    white = (rows @ problem.moment.basis) / problem.moment.eigenvalues.sqrt()
    return float(torch.linalg.cond(white / squares(white).sqrt()[:, None])) ** 2


def share_between(moment: SecondMomentCase, size: int) -> float:
    """A share of the variance that the `size` smallest eigenvalues stay below, and one more exceeds."""
    shares = moment.eigenvalues.flip(0).cumsum(dim=0) / moment.eigenvalues.sum()
    return float(shares[size - 1] + shares[size]) / 2


def first_edit(problem: EditProblem) -> EditProblem:
    return replace(problem, keys=problem.keys[:1], values=problem.values[:1])


def made(method: Any, problem: EditProblem) -> Edit:
    return method.edit(problem.weight, problem.keys, problem.values)


def ridged_rounding(problem: EditProblem, rows: Tensor, ridge: float, condition_number: float = 1.0) -> float:
    """Rounding of Rᵀ (ridge I + F Fᵀ)⁻¹ F, where the keys' coordinates F are rounded relative to rows.

    With F' = F / √ridge it is Rᵀ (I + F' F'ᵀ)⁻¹ F' / √ridge, where the inverse is at most 1 and its product with F' at
    most 1/2, so that errors of F' F'ᵀ count once with ‖F'‖² and those of F' with ‖F'‖.
    """
    relative = tolerance(condition_number, problem.moment.dim, len(problem.keys))
    wanted = problem.values.norm() + problem.weight.norm() * problem.keys.norm()
    return relative * (1 + float(rows.norm()) / ridge**0.5) ** 2 * float(wanted) / ridge**0.5


def batched_rounding(problem: EditProblem, size: int, ridge: float, path: Sequence[Tensor]) -> list[float]:
    """Rounding of (W − W_0) C^½ after each batch of the path.

    A batch writes X = Rᵀ A with A = (ridge I + F Fᵀ)⁻¹ F, F its whitened keys. Errors of R pass A, and the solve
    adds 1 + ‖F‖² ‖(ridge I + F Fᵀ)⁻¹‖ times ‖R‖ ‖A‖. R has the errors of the batches before, read by F, and of its sum.
    """
    relative, white = laws.rounding(problem), (problem.keys @ problem.moment.basis) / problem.moment.eigenvalues.sqrt()
    before, wrong, bounds = problem.weight, 0.0, []
    for start, after in zip(range(0, len(white), size), path, strict=True):
        rows, values, keys = (of[start : start + size] for of in (white, problem.values, problem.keys))
        inverted = torch.linalg.inv(rows @ rows.T + ridge * torch.eye(len(rows), dtype=rows.dtype))
        length, reach, solve = (float(torch.linalg.matrix_norm(of, 2)) for of in (rows, inverted @ rows, inverted))
        residuals = float((values - keys @ before.T).norm())
        read = (start_size(problem) + float((before @ problem.moment.root).norm())) * length + float(values.norm())
        wrong += reach * (length * wrong + relative * (read + (1 + length**2 * solve) * residuals))
        wrong += relative * float((after @ problem.moment.root).norm())
        bounds.append(wrong)
        before = after
    return bounds

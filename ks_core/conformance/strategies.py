"""Hypothesis strategies for second moments, keys and edits, with condition numbers that are bounded and known.

Those of plain arguments are made once each: Hypothesis checks a strategy when it first draws from it, which costs more
than the draw, and an example is made of a dozen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

MAX_DIM = 7
# High enough that C and C⁻¹ differ by orders of magnitude, low enough that rounding (eps · condition · d² ≈ 1e-7)
# stays far below the order-one errors that the laws are there to catch.
MAX_CONDITION = 1e6
MIN_CONDITION = 10.0**0.5

SPECTRUM_KINDS = ("flat", "log_spaced", "clustered", "near_degenerate")
KEY_KINDS = ("generic", "duplicates", "clustered", "whitened_orthogonal")


@dataclass(frozen=True, eq=False)
class SecondMomentCase:
    """A second moment whose eigenvalues are known because it was built from them."""

    matrix: Tensor  # (d_key, d_key), exactly symmetric
    eigenvalues: Tensor  # (d_key,), largest first
    basis: Tensor  # (d_key, d_key), eigenvectors in columns

    @property
    def dim(self) -> int:
        """d_key."""
        return len(self.matrix)

    @property
    def condition_number(self) -> float:
        """κ₂ = λ_max / λ_min."""
        return float(self.eigenvalues[0] / self.eigenvalues[-1])

    @property
    def root(self) -> Tensor:
        """(d_key, d_key) the symmetric square root C^½, which takes whitened vectors back to keys."""
        return (self.basis * self.eigenvalues.sqrt()) @ self.basis.T


@dataclass(frozen=True, eq=False)
class EditProblem:
    """A weight, a stream of edits and other keys that the edits are not for.

    `moment` is the metric that edits are least in: the text's, or the identity for an editor that does not use C, which
    is then given the matrix of `unused` in C's place.
    """

    moment: SecondMomentCase
    weight: Tensor  # (d_value, d_key)
    keys: Tensor  # (n, d_key)
    values: Tensor  # (n, d_value)
    others: Tensor  # (m, d_key)
    protected: Tensor | None = None  # (p, d_key), keys whose values must stay; None where the editor takes none
    unused: Tensor | None = None  # (d_key, d_key), a second moment that is given and not used; None where C is used

    @property
    def second_moment(self) -> Tensor:
        """(d_key, d_key), what the editor is given."""
        return self.moment.matrix if self.unused is None else self.unused


@cache
def generators() -> st.SearchStrategy[np.random.Generator]:
    """Numbers without structure: only the seed is drawn, so that examples replay."""
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


@cache
def dims(smallest: int = 1) -> st.SearchStrategy[int]:
    """Widths d_key."""
    return st.integers(smallest, MAX_DIM)


@cache
@st.composite
def spectra(
    draw: st.DrawFn,
    dim: int,
    kind: str | None = None,
    max_condition: float = MAX_CONDITION,
    magnitude: int = 6,
    min_condition: float = MIN_CONDITION,
) -> Tensor:
    """Positive eigenvalues, largest first, of a condition number λ_max / λ_min and a scale 10^±magnitude in bounds.

    Those of kinds "flat" and "near_degenerate" are alike, whatever the bounds.
    """
    kind = kind or draw(st.sampled_from(SPECTRUM_KINDS))
    least, most = (float(np.log10(bound)) for bound in (min(min_condition, max_condition), max_condition))
    condition = 10.0 ** draw(st.floats(least, most))
    scale = 10.0 ** draw(st.integers(-magnitude, magnitude))
    values: NDArray[Any]
    if kind == "flat":
        values = np.ones(dim)
    elif kind == "log_spaced":
        values = np.logspace(0, -np.log10(condition), dim)
    elif kind == "clustered":  # two groups far apart, none spread inside
        values = np.where(np.arange(dim) < draw(st.integers(1, dim)), 1.0, 1.0 / condition)
    else:  # near_degenerate: all but equal, so that eigenvectors are ill-determined while C is not
        values = 1.0 + 1e-9 * np.arange(dim)[::-1]
    return torch.from_numpy(np.array(values * scale, dtype=np.float64))


@cache
@st.composite
def orthogonal_matrices(draw: st.DrawFn, dim: int) -> Tensor:
    """Haar-distributed: QR of a Gaussian matrix, with the signs of R's diagonal taken out.

    Seed 0 is the identity: what fails without a rotation is then shown without one.
    """
    seed = draw(st.integers(0, 2**32 - 1))
    if seed == 0:
        return torch.eye(dim, dtype=torch.float64)
    basis, upper = np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))
    return torch.from_numpy(basis * np.where(np.diagonal(upper) < 0, -1.0, 1.0))


@cache
@st.composite
def second_moments(
    draw: st.DrawFn,
    dim: int | None = None,
    kind: str | None = None,
    max_condition: float = MAX_CONDITION,
    magnitude: int = 6,
    min_condition: float = MIN_CONDITION,
) -> SecondMomentCase:
    """Positive definite, in any basis."""
    dim = dim or draw(dims())
    eigenvalues = draw(spectra(dim, kind, max_condition, magnitude, min_condition))
    basis = draw(orthogonal_matrices(dim))
    return SecondMomentCase(symmetric(basis, eigenvalues), eigenvalues, basis)


@st.composite
def rank_deficient_second_moments(draw: st.DrawFn) -> tuple[Tensor, int]:
    """A second moment of fewer independent keys than d_key, and its rank; no direction is weak, some are missing."""
    dim = draw(dims(smallest=2))
    rank = draw(st.integers(1, dim - 1))
    spectrum = torch.linspace(3.0, 1.0, rank, dtype=torch.float64)
    eigenvalues = torch.cat([spectrum, torch.zeros(dim - rank, dtype=torch.float64)]) * 10.0 ** draw(st.integers(-6, 6))
    return symmetric(draw(orthogonal_matrices(dim)), eigenvalues), rank


@cache
@st.composite
def invertible_matrices(draw: st.DrawFn, dim: int, max_condition: float = 10.0) -> Tensor:
    """Changes of basis, of norm 1."""
    singular = torch.from_numpy(np.logspace(0, -np.log10(draw(st.floats(1.0, max_condition))), dim))
    return (draw(orthogonal_matrices(dim)) * singular) @ draw(orthogonal_matrices(dim)).T


@cache
@st.composite
def weights(draw: st.DrawFn, d_value: int, d_key: int) -> Tensor:
    """Well-conditioned: singular values between 0.5 and 2."""
    singular = np.zeros((d_value, d_key))
    np.fill_diagonal(singular, draw(generators()).uniform(0.5, 2.0, min(d_value, d_key)))
    return draw(orthogonal_matrices(d_value)) @ torch.from_numpy(singular) @ draw(orthogonal_matrices(d_key))


@cache
@st.composite
def white_rows(draw: st.DrawFn, dim: int, count: int, kind: str) -> Tensor:
    """Keys in whitened coordinates, (count, dim), lengths within a factor of four.

    Kinds: "generic"; "duplicates" (each key twice where there is room); "clustered" (all within 10% of one);
    "whitened_orthogonal" (orthogonal rows), which needs count ≤ dim.
    """
    generator = draw(generators())
    white = generator.standard_normal((count, dim))
    white /= np.linalg.norm(white, axis=1, keepdims=True)
    if kind == "duplicates":
        white = white[np.arange(count) // 2]
    elif kind == "clustered":
        white = white[:1] + 0.1 * white
    elif kind == "whitened_orthogonal":
        if count > dim:
            raise ValueError(f"{count} orthogonal keys do not fit into {dim} dimensions")
        white = draw(orthogonal_matrices(dim)).numpy()[:count]
    if kind != "duplicates":
        white = white * generator.uniform(0.5, 2.0, (count, 1))
    return torch.from_numpy(white)


@st.composite
def key_rows(draw: st.DrawFn, moment: SecondMomentCase, count: int, kind: str) -> Tensor:
    """Keys as the text would have them: spread by C^½; kinds as in `white_rows`."""
    return draw(white_rows(moment.dim, count, kind)) @ moment.root


@st.composite
def edit_problems(draw: st.DrawFn, kinds: tuple[str, ...] = KEY_KINDS, *, distinct: bool = False) -> EditProblem:
    """Streams of edits and other keys, drawn together so that they relate as the kind says.

    With `distinct`, the edited keys are linearly independent, as a joint edit needs them.
    """
    kind = draw(st.sampled_from(kinds))
    fits = distinct or kind == "whitened_orthogonal"
    moment = draw(second_moments(draw(dims(smallest=2 if fits else 1))))
    d_value = draw(st.integers(1, 4))
    edits = draw(st.integers(1, moment.dim - 1 if fits else MAX_DIM))
    others = draw(st.integers(1, moment.dim - edits if fits else 3))
    rows = draw(key_rows(moment, edits + others, kind))
    values = torch.from_numpy(draw(generators()).standard_normal((edits, d_value)))
    return EditProblem(moment, draw(weights(d_value, moment.dim)), rows[:edits], values, rows[edits:])


def symmetric(basis: Tensor, eigenvalues: Tensor) -> Tensor:
    """U diag(λ) Uᵀ, exactly symmetric."""
    product = (basis * eigenvalues) @ basis.T
    return (product + product.T) / 2

"""A bound on how far edits stretch any direction: PRUNE, which shortens the singular values of ΔW that exceed W's."""

from __future__ import annotations

import math
from typing import Any

import torch

from ks_core.arguments import real_number
from ks_core.arrays import as_float64, finite
from ks_core.errors import InputError
from ks_core.theory.editing import Edit

PUBLISHED_BASE = 1.2
"""α of most of the published runs; e and 1.5 are the others in their code."""


def pruned(edit: Edit, weight: Any, *, base: float = PUBLISHED_BASE) -> Edit:
    """Restrain an edit, usually all edits of a stream together, where it is stronger than the weight itself.

        σ ↦ log_base(σ) − log_base(s) + s   for singular values σ of ΔW above s, the largest one of W; others stay

    (Ma, Wang, Xu, Ling, Gu, "Perturbation-Restrained Sequential Model Editing", ICLR 2025, arXiv 2405.16821). Singular
    vectors stay as they are. It is made of W_n − W_0 when a model is about to be used; the stream goes on unpruned.

    Args:
        edit: made for this weight.
        weight: (d_value, d_key), W_0.
        base: α, above 1: the larger, the harder the restraint. The formula has a scale: a base below exp(1/s) would
            lengthen singular values just above s, and is refused.

    Returns:
        The edit itself, to the bit, where no singular value exceeds s. Else one whose columns and rows are singular
        directions, largest first, and no longer single edits, so that `written` says nothing of it.

    Raises:
        InputError: a base that restrains nothing, a weight of zeros, or one of another shape than the edit's.

    Numerics:
        From the thin factors of n edits, r = min(d_value, n, d_key): O((d_value + d_key) n r + r³), and the singular
        values of W, O(d_value² d_key). ΔW moves by about eps ‖left‖ ‖right‖: no slope exceeds 1.

    Example:
        >>> strong = Edit(torch.tensor([[8.0], [0.0]]).double(), torch.tensor([[0.0, 1.0]]).double())
        >>> pruned(strong, [[2.0, 0.0], [0.0, 1.0]], base=2.0).delta().abs()
        tensor([[0., 4.],
                [0., 0.]], dtype=torch.float64)
    """
    before = as_float64("weight", weight, ndim=2)
    expected = (edit.left.shape[0], edit.right.shape[1])
    if tuple(before.shape) != expected:
        raise InputError(f"weight has shape {tuple(before.shape)} but the edit was made for {expected}")
    largest = float(torch.linalg.matrix_norm(before, 2))
    base = _check_base(base, largest)
    left, upper = torch.linalg.qr(edit.left)
    right, lower = torch.linalg.qr(edit.right.T)
    rows, singular, columns = torch.linalg.svd(upper @ lower.T, full_matrices=False)
    if not bool((singular > largest).any()):
        return edit
    above = singular.clamp(min=largest)
    restrained = singular.clamp(max=largest) + (above / largest).log() / math.log(base)
    return Edit(finite("the pruned edit", (left @ rows) * restrained), columns @ right.T)


def _check_base(base: Any, largest: float) -> float:
    """A base whose logarithm, at a weight with this largest singular value, lengthens nothing."""
    number = real_number("base", base, "a finite number above 1")
    if number <= 1:
        raise InputError(f"base is {number:g}; expected a finite number above 1")
    if largest == 0:
        raise InputError("weight is zero; expected one whose singular values say how strong an edit may be")
    least = math.exp(min(1 / largest, 700.0))  # exp(710) is beyond float64
    if number < least:
        raise InputError(
            f"base is {number:g}, with which the logarithm lengthens singular values just above the weight's largest, "
            f"{largest:.3g}; expected at least exp(1 / {largest:.3g}) = {least:.4g}: pass a larger base"
        )
    return number

"""Knowledge decomposed: what many facts share in their keys, and what is a fact's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ks_core.arguments import real_number, whole_number
from ks_core.errors import InputError
from ks_core.theory.key_spaces import ProtectedWhitening, leading_directions
from ks_core.theory.second_moment import check_second_moment
from ks_core.theory.whitening import Whitening


def own_part(whitening: Whitening, keys: Any, directions: int) -> ProtectedWhitening:
    """Edit only along a fact's own part of its whitened key: what it shares with many facts is taken out.

        A = rows L⁻¹k / ‖L⁻¹k‖ of many facts' subjects;   shared = the leading right singular vectors of A
        edits write along L⁻ᵀ (I − shared sharedᵀ) L⁻¹k

    The space is that of `protect` with these directions for keys, so an edit has no reach into what is shared, and is
    as much longer as `freedom` says. Keys are not centred: what all facts have in common is the first direction.

    Args:
        whitening: of the layer.
        keys: (m, d_key), of many facts' subjects, edited ones or not.
        directions: how many to take out, from 0 (edits as in `whitening`) to the rank of the keys.

    Returns:
        A space to edit in, with `lifelong_edits`, `joint_edit` and all other methods.

    Raises:
        InputError: a zero key, keys of another width than the second moment, or more directions than the keys span or
            than leave one to write along.

    Numerics:
        O(m d_key min(m, d_key) + m d_key²). A direction is as well determined as its singular value is apart from the
        next: with equal ones any of their combinations may be taken out.

    Example:
        >>> from ks_core.theory.whitening import whiten
        >>> space = own_part(whiten([[1.0, 0.0], [0.0, 1.0]]), [[3.0, 1.0], [3.0, -1.0]], directions=1)
        >>> space.freedom([[1.0, 1.0], [0.0, 3.0]])
        tensor([0.5000, 1.0000], dtype=torch.float64)
    """
    count = whole_number("directions", directions, least=0)
    shared = leading_directions(whitening, keys, "key")
    most = min(len(shared), shared.shape[1] - 1)
    if count > most:
        raise InputError(
            f"directions is {count}; expected at most {most}: the keys span {len(shared)} of {shared.shape[1]} "
            "directions, and one must be left to write along: take fewer out, or pass more keys"
        )
    return ProtectedWhitening(whitening, shared[:count])


def mixed(second_moment: Any, other: Any, share: float) -> Tensor:
    """The second moment of a mixture: the text, and with this share keys of another kind, as subjects' last tokens.

        (1 − share) · C + share · S,   S = mean of k kᵀ over the other keys

    Both are means, so a share of the *tokens* is replaced; keys that are longer than the text's weigh more than that.

    Args:
        second_moment: (d_key, d_key), of the text.
        other: (d_key, d_key), of the other keys; it may be singular where the mixture is not.
        share: from 0, the text alone, to 1.

    Returns:
        (d_key, d_key) float64, for `whiten`.

    Raises:
        InputError: a matrix that is no second moment, two of different widths, or a share outside 0 to 1.

    Example:
        >>> mixed([[1.0, 0.0], [0.0, 1.0]], [[5.0, 0.0], [0.0, 0.0]], share=0.25)
        tensor([[2.0000, 0.0000],
                [0.0000, 0.7500]], dtype=torch.float64)
    """
    of_text, of_others = check_second_moment(second_moment), check_second_moment(other, "the other second moment")
    if of_text.shape != of_others.shape:
        raise InputError(
            f"the other second moment has d_key={len(of_others)} but the second moment has d_key={len(of_text)}; "
            "collect both from the same layer of the same model"
        )
    expected = "a share of the mixture, from 0 to 1"
    share = real_number("share", share, expected)
    if not 0 <= share <= 1:
        raise InputError(f"share is {share:g}; expected {expected}")
    return torch.lerp(of_text, of_others, share)

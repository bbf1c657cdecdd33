"""Edits in batches, one batch after another, without memory of those before: how most published methods are run."""

from __future__ import annotations

from ks_core.arguments import whole_number
from ks_core.errors import RankDeficientError
from ks_core.theory.editing import Edit, EditTerms, joint_edit_of


def batched_edit_of(terms: EditTerms, size: int, *, ridge: float = 0.0) -> Edit:
    """Make n edits in batches: jointly within a batch, each batch at the weight that the earlier ones left.

        W_b = W_{b−1} + R_bᵀ (ridge · I + K_b C⁻¹ K_bᵀ)⁻¹ K_b C⁻¹,   R_b = V_b − K_b W_{b−1}ᵀ       (rows are edits)

    Without ridge it is EMMET, equality-constrained batches (Gupta, Sajnani, Anumanchipalli, "A Unified Framework for
    Model Editing", Findings of EMNLP 2024), and in batches of one the stream of `lifelong_edits_of`. With one it is
    MEMIT on one layer as it is run on a stream (Meng et al. 2023), ridge its weight λ of the second moment. A batch
    knows the earlier ones only by the weight that it meets: it may undo them, which `joint_edit_of` never does.

    Args:
        terms: of the n edits, in their order.
        size: edits in a batch, 1 or more; the last batch has what is left over. From n on it is `joint_edit_of`.
        ridge: 0 or more, as in `joint_edit`.

    Returns:
        All edits together, W_last − W_0: column i of its left and row i of its right factor are edit i. The first
        columns and rows, of whole batches, are the edit after those batches.

    Raises:
        RankDeficientError: keys of one batch that repeat or depend on each other; names the batch.
        InputError: a size below 1, or a negative ridge.

    Numerics:
        O(n² (d_key + d_value) + n size²) in O(n (d_key + d_value + size)) memory. Each batch holds to about eps times
        the condition number of its own ridge · I + K_b C⁻¹ K_bᵀ.

    Example:
        >>> from ks_core.theory.editing import edit_terms
        >>> from ks_core.theory.whitening import whiten
        >>> identity = whiten([[1.0, 0.0], [0.0, 1.0]])
        >>> terms = edit_terms([[0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [[2.0], [1.0], [5.0]], identity)
        >>> batched_edit_of(terms, 2).delta()
        tensor([[3., 2.]], dtype=torch.float64)
    """
    size = whole_number("the size of a batch", size, least=1, hint=": pass how many edits are made at once")
    left = terms.residuals.new_empty(terms.residuals.shape[1], len(terms))
    for start in range(0, len(terms), size):
        batch = slice(start, start + size)
        keys, directions = terms.keys[batch], terms.directions[batch]
        moved = (keys @ terms.directions[:start].T) @ left[:, :start].T
        try:
            edit = joint_edit_of(EditTerms(keys, terms.residuals[batch] - moved, directions), ridge=ridge)
        except RankDeficientError as error:
            last = start + len(keys) - 1
            raise RankDeficientError(f"batch {start // size} (edits {start} to {last}): {error}") from error
        left[:, batch] = edit.left
    return Edit(left, terms.directions)

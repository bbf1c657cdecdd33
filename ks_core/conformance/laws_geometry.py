"""Laws of where an edit writes: which keys feel it, and how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from ks_core.conformance.editors import Editor
from ks_core.conformance.law import POWER, Gap, bits, law
from ks_core.conformance.problems import INDEPENDENT, one_constraint, problems
from ks_core.conformance.strategies import EditProblem
from ks_core.conformance.tolerances import allowed, at_keys, effect, free_rows
from ks_core.theory.interference import measured_original, predicted_original
from ks_core.theory.superposition import superposition
from ks_core.theory.traits import Traits
from ks_core.theory.whitening import whiten


def _update(editor: Editor, problem: EditProblem) -> Tensor:
    """ΔW C^½, (d_value, d_key): the change of the text's values, in units of values."""
    return (editor.edited(problem) - problem.weight) @ problem.moment.root


@law(
    "editor",
    partial(problems, most=2, height="high"),
    formula="rank(W' − W) ≤ n",
    why="An update of higher rank writes where no edit asked it to; its cost grows with nothing to show for it.",
    usual_cause="weight decay, noise or a second matrix mixed into the update",
)
def rank_is_at_most_the_number_of_edits(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """n edits change the weight by a matrix of rank n at most."""
    singular = torch.linalg.svdvals(_update(editor, problem))[len(problem.keys) :]
    limit, change = allowed(problem, editor.traits), effect(problem, editor.traits)
    yield Gap("the singular values beyond n", singular, torch.zeros_like(singular), limit, change)


@law(
    "editor",
    partial(problems, kinds=INDEPENDENT, most=2),
    formula="rows of W' − W lie in span(C⁻¹k_1, …, C⁻¹k_n) (metric identity: of the keys)",
    why="Any other direction disturbs keys of the text that have nothing to do with the edits.",
    usual_cause="C not inverted, C^-½ for C⁻¹, or the inverse of another layer's C taken from a cache",
)
def direction_is_whitened(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """Updates are written along C⁻¹k (with protected keys: along what is left of it)."""
    update, rows = _update(editor, problem) @ problem.moment.basis, free_rows(problem)  # both along eigenvectors
    outside = update - update @ torch.linalg.pinv(rows) @ rows
    limit = allowed(problem, editor.traits) * float(torch.linalg.cond(rows))
    change = effect(problem, editor.traits)
    yield Gap("the part of the update outside the span", outside, torch.zeros_like(outside), limit, change)


@law(
    "editor",
    partial(problems, kinds=("whitened_orthogonal",)),
    formula="k_iᵀC⁻¹k_j = 0 for all i ≠ j  ⇒  W' k_j = W k_j at other keys, and W' k_i = v_i for exact edits",
    why="Keys without superposition are the one case where lifelong editing loses nothing; it must lose nothing.",
    usual_cause="whitening by C^-½, by the diagonal of C, or not at all",
)
def orthogonal_keys_are_edited_without_loss(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """Whitened-orthogonal keys do not feel each other's edits."""
    after, limit, change = editor.edited(problem), *at_keys(problem, editor.traits)
    yield Gap("the values at other keys", problem.others @ after.T, problem.others @ problem.weight.T, limit, change)
    if "exact" in editor.words:
        yield Gap("the values at the edited keys", problem.keys @ after.T, problem.values, limit, change)


@law(
    "editor",
    problems,
    formula="(W' − W) k_j = Σ_i P[i, j] δ_i,  P[i, j] = k_iᵀC⁻¹k_j / k_iᵀC⁻¹k_i",
    why="Which bystanders an edit will disturb can be told before it is made only if this holds.",
    usual_cause="normalising by the other key (P transposed), or edits that count twice",
)
def interference_is_as_predicted(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """The change at keys that no edit was for is what superposition says, from whitened keys and residuals alone.

    Of a residual only the claimed share is written. With a ridge P is multiplied by d_i / (d_i + ridge); with protected
    keys the editor's whitened key is taken without its part in their span; joint edits take Σ_i ⟨a_i, a_j⟩ m_i with
    (ridge · I + G) m = R for P δ.
    """
    measured = measured_original(problem.weight, editor.edited(problem), problem.others)
    predicted = _predicted(problem, editor.traits)
    limit, change = at_keys(problem, editor.traits)
    yield Gap("the change at other keys", measured, predicted, 2 * limit, change)


def _predicted(problem: EditProblem, traits: Traits) -> Tensor:
    whitening = whiten(problem.moment.matrix)
    keys, others = whitening.whiten(problem.keys), whitening.whiten(problem.others)
    free = keys
    if problem.protected is not None:
        span, _ = torch.linalg.qr(whitening.whiten(problem.protected).T)
        free = keys - (keys @ span) @ span.T
    sizes = free.square().sum(dim=1)
    start = traits.share * (problem.values - problem.keys @ problem.weight.T)
    if traits.order == "joint":
        among = superposition(free, keys) * sizes[:, None]
        written = torch.linalg.solve(among + traits.ridge * torch.eye(len(among), dtype=torch.float64), start)
        return predicted_original(superposition(free, others) * sizes[:, None], written)
    met = (sizes / (sizes + traits.ridge))[:, None]
    among = superposition(free, keys) * met * traits.share
    written = torch.linalg.solve_triangular(among.T, start, upper=False, unitriangular=True)
    return predicted_original(superposition(free, others) * met, written)


@law(
    "editor",
    one_constraint,
    formula="‖ΔW C^½‖ is the least of all ΔW with (W + ΔW) K = V;  with a ridge: ‖ΔW Kᵀ − Rᵀ‖² + ridge ‖ΔW C^½‖² is",
    why="The method's one promise: of all ways to write these facts, the one that moves the text least.",
    usual_cause="C ignored or taken for the identity, so that the weight moves least and not the text",
)
def disturbance_is_least(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """No other feasible update disturbs the text less: Lagrange's minimum is known from the whitened keys alone."""
    ridge, rows, update = editor.traits.ridge, free_rows(problem), _update(editor, problem)
    residuals = editor.traits.share * (problem.values - problem.keys @ problem.weight.T)
    system = rows @ rows.T + ridge * torch.eye(len(rows), dtype=torch.float64)
    least = (residuals * torch.linalg.solve(system, residuals)).sum().sqrt()
    size, limit = torch.linalg.matrix_norm(update), allowed(problem, editor.traits)
    if ridge:
        after = residuals - problem.keys @ (editor.edited(problem) - problem.weight).T
        size, least = (after.square().sum() + ridge * size.square()).sqrt(), ridge**0.5 * least
        limit *= ridge**0.5 + float(rows.square().sum().sqrt())
    allowance = update.numel() ** 0.5 * limit
    change = POWER * float(least)  # at a minimum a fault shows by its square: half a percent of a tenth
    yield Gap("the disturbance above the least", torch.maximum(size, least), least, allowance, change)


@law(
    "editor",
    problems,
    needs=("unwhitened",),
    formula="edit(W, K, V, C) = edit(W, K, V, C') for any other C'",
    why="An editor that says it moves the weight least must not depend on the text; if it does, it is another method.",
    usual_cause="an adjustment by C left on, or a threshold on the eigenvalues of C",
)
def second_moment_is_not_used(editor: Editor, problem: EditProblem) -> Iterator[Gap]:
    """The same bits whatever is given in C's place."""
    if problem.unused is not None:
        another = replace(problem, unused=2 * problem.unused.flip(0, 1))
        yield bits("the weight", editor.edited(another), editor.edited(problem))

"""Methods, spaces and orders with one fault each, held against their laws: the property test must fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
import test_theory_key_spaces as space_laws
import test_theory_methods as method_laws
import test_theory_ordering as order_laws
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from methods_oracles import Methods, squares
from null_space_faults import CUTS, NULLS
from strategies import MAX_DIM, EditProblem, edit_problems, second_moments
from test_theory_key_spaces import INDEPENDENT, nearly_bound
from test_theory_planted_faults import some
from theory_faults import Unwhitened
from torch import Tensor

from ks_core.theory.editing import Edit, joint_edit, lifelong_edits
from ks_core.theory.interference import predicted_at_edits
from ks_core.theory.key_spaces import ProtectedWhitening, protect
from ks_core.theory.methods import Joint, Sequential
from ks_core.theory.ordering import gentlest_order, interfering_groups
from ks_core.theory.whitening import Whitening

PACKAGE = Methods()


# --- faulty spaces ----------------------------------------------------------------------------------------------------


class ProjectedOnce(ProtectedWhitening):
    def _free(self, rows: Tensor) -> Tensor:
        return rows - (rows @ self.basis.T) @ self.basis


class FactorForgotten(ProtectedWhitening):
    """Whitened directions where directions in key space should be."""

    def solve(self, keys: Tensor) -> Tensor:
        return self.whiten(keys)


class OrthogonalToTheKeysThemselves(ProtectedWhitening):
    """Directions that no protected key sees, but those nearest to k and not to C⁻¹k."""

    def solve(self, keys: Tensor) -> Tensor:
        seen = torch.linalg.qr(self.whitening.factor @ self.basis.T).Q
        return keys - (keys @ seen) @ seen.T


class Cosine(ProtectedWhitening):
    def freedom(self, keys: Tensor) -> Tensor:
        return 1 - super().freedom(keys)


class SineNotSquared(ProtectedWhitening):
    def freedom(self, keys: Tensor) -> Tensor:
        return super().freedom(keys).sqrt()


def rows_spanning(vectors: Tensor) -> Tensor:
    return torch.linalg.qr(vectors.T).Q.T


def protected_by(change: Callable[[Whitening, Tensor], Any]) -> Methods:
    return replace(PACKAGE, protect=change)


def spanned_by(basis_of: Callable[[Whitening, Tensor], Tensor]) -> Methods:
    return protected_by(lambda w, keys: ProtectedWhitening(w, rows_spanning(basis_of(w, keys))))


def of_kind(kind: type[ProtectedWhitening]) -> Methods:
    return protected_by(lambda w, keys: kind(w, protect(w, keys).basis))


def mistaken_for_its_inverse(whitening: Whitening, keys: Tensor) -> Tensor:
    unwhitened = Unwhitened(*(getattr(whitening, field.name) for field in fields(whitening)))
    return unwhitened.whiten(keys)


# --- faulty methods ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Faulty:
    """A method whose edits come from a function of (weight, keys, values, space)."""

    space: Any
    make: Callable[..., Edit]

    def edit(self, weight: Tensor, keys: Tensor, values: Tensor) -> Edit:
        return self.make(weight, keys, values, self.space)


def joint_by(make: Callable[..., Edit]) -> Methods:
    return replace(PACKAGE, joint=lambda space, ridge=0.0: Faulty(space, lambda *stream: make(*stream, ridge)))


def sequential_by(make: Callable[..., Edit]) -> Methods:
    return replace(PACKAGE, sequential=lambda space: Faulty(space, make))


def without_ridge(weight: Tensor, keys: Tensor, values: Tensor, space: Any, _ridge: float) -> Edit:
    """As the limit of small ridges, where keys depend on each other inside the space."""
    directions = space.solve(keys)
    inverted = torch.linalg.pinv(directions @ keys.T, hermitian=True)
    return Edit((inverted @ (values - keys @ weight.T)).T, directions)


def earlier_keys_forgotten(weight: Tensor, keys: Tensor, values: Tensor, space: Any, ridge: float) -> Edit:
    """Each edit made at the weight that the last one left, as if it were the first."""
    current, edits = weight, []
    for i in range(len(keys)):
        edits.append(joint_edit(current, keys[i : i + 1], values[i : i + 1], space, ridge=ridge))
        current = edits[-1].apply(current)
    return Edit(torch.cat([e.left for e in edits], dim=1), torch.cat([e.right for e in edits]))


def residuals_at_zero(weight: Tensor, keys: Tensor, values: Tensor, space: Any, ridge: float) -> Edit:
    return joint_edit(torch.zeros_like(weight), keys, values, space, ridge=ridge)


def reversed_stream(weight: Tensor, keys: Tensor, values: Tensor, space: Any) -> Edit:
    backwards = lifelong_edits(weight, keys.flip(0), values.flip(0), space).edit
    return Edit(backwards.left.flip(1), backwards.right.flip(0))


def all_at_w0(weight: Tensor, keys: Tensor, values: Tensor, space: Any) -> Edit:
    directions = space.solve(keys)
    return Edit(((values - keys @ weight.T) / (directions * keys).sum(dim=1, keepdim=True)).T, directions)


class FromWhereItEnded:
    """A method that goes on from the weight that its last call left."""

    def __init__(self, space: Any) -> None:
        self.space, self.moved = space, 0.0

    def edit(self, weight: Tensor, keys: Tensor, values: Tensor) -> Edit:
        edit = joint_edit(weight + self.moved, keys, values, self.space)
        self.moved = self.moved + edit.delta()
        return edit


def values_made_residuals(weight: Tensor, keys: Tensor, values: Tensor, space: Any, ridge: float) -> Edit:
    values -= keys @ weight.T  # in place
    return joint_edit(torch.zeros_like(weight), keys, values, space, ridge=ridge)


# --- what each law must notice ----------------------------------------------------------------------------------------

SPANS = {
    "not_whitened": spanned_by(lambda _, keys: keys),
    "c_for_its_inverse": spanned_by(mistaken_for_its_inverse),
    "fully_solved": spanned_by(lambda w, keys: w.solve(keys)),
}
UNPROTECTED = {"ignored": replace(PACKAGE, protect=lambda w, _: w), "factor_forgotten": of_kind(FactorForgotten)}
ONCE = {"projected_once": of_kind(ProjectedOnce)}
DEAR = {"orthogonal_to_the_keys_themselves": of_kind(OrthogonalToTheKeysThemselves)}
FREEDOMS = {"cosine": of_kind(Cosine), "sine_not_squared": of_kind(SineNotSquared)}
JOINTS = {
    "no_ridge": joint_by(without_ridge),
    "ridge_doubled": replace(PACKAGE, joint=lambda space, ridge=0.0: Joint(space, ridge=2 * ridge)),
    "earlier_keys_forgotten": joint_by(earlier_keys_forgotten),
    "residuals_at_zero": joint_by(residuals_at_zero),
}
STREAMS = {"order_reversed": sequential_by(reversed_stream), "all_at_w0": sequential_by(all_at_w0)}
PROTECTED_JOINTS = {
    "one_after_another": replace(PACKAGE, joint=lambda space, ridge=0.0: Sequential(space)),  # noqa: ARG005
    "ridge_left_in": replace(PACKAGE, joint=lambda space, ridge=0.0: Joint(space, ridge=ridge + 0.1)),
}
STATES = {
    "from_where_it_ended": replace(PACKAGE, joint=FromWhereItEnded),
    "written_in_place": joint_by(values_made_residuals),
}
WRITTEN = {
    name: replace(PACKAGE, written=faulty)
    for name, faulty in {
        "without_the_norm": lambda edit, _: edit.left.T,
        "norm_of_the_key": lambda edit, keys: (edit.left * squares(keys)).T,
        "norm_of_the_direction": lambda edit, _: (edit.left * squares(edit.right)).T,
        "by_all_edits": lambda edit, keys: keys @ edit.delta().T,
        "reversed": lambda edit, keys: edit.written(keys).flip(0),
    }.items()
}
AT_EDITS = {
    name: replace(PACKAGE, predicted_at_edits=faulty)
    for name, faulty in {
        "not_transposed": lambda p, written, wanted: p @ written - wanted,
        "later_only": lambda p, written, _: p.tril(-1).T @ written,
        "wanted_forgotten": lambda p, written, _: p.T @ written,
        "wanted_added": lambda p, written, wanted: p.T @ written + wanted,
        "sign": lambda p, written, wanted: -predicted_at_edits(p, written, wanted),
    }.items()
}
ORDERS = {
    "reversed": lambda norms, sizes: gentlest_order(norms, sizes).flip(0),
    "norms_not_squared": lambda norms, sizes: gentlest_order(norms.sqrt(), sizes),
    "sizes_forgotten": lambda norms, _: gentlest_order(norms),
    "norms_forgotten": lambda norms, sizes: gentlest_order(torch.ones_like(norms), sizes),
    "as_given": lambda norms, _: torch.arange(len(norms)),
}
GROUPS = {
    "sign_kept": lambda p, threshold: interfering_groups(p.clamp(min=0), threshold),
    "one_way": lambda p, threshold: interfering_groups(p.triu(), threshold),
    "both_ways": lambda p, threshold: interfering_groups(torch.minimum(p.abs(), p.T.abs()), threshold),
    "neighbours_of_the_first": lambda p, threshold: sorted(
        [[j for j in range(len(p)) if j == 0 or abs(p[0, j]) > threshold]]
        + [[j] for j in range(1, len(p)) if not abs(p[0, j]) > threshold]
    ),
}


INDEPENDENT_KEYS = st.tuples(edit_problems(INDEPENDENT, distinct=True))
NEARLY_BOUND = st.tuples(edit_problems(("whitened_orthogonal",)).map(nearly_bound))
MOMENTS = st.tuples(st.integers(2, MAX_DIM).flatmap(lambda dim: second_moments(dim)))


def named(name: str) -> st.SearchStrategy[tuple[EditProblem, str]]:
    return st.tuples(edit_problems(INDEPENDENT, distinct=True), st.just(name))


# Which faults a law must notice, and on what. A law may be blind to others: what is not optimal can still be exact.
CASES: list[tuple[Callable[..., None], st.SearchStrategy[Any], dict[str, Any]]] = [
    (space_laws.protected_values_stay, INDEPENDENT_KEYS, SPANS | UNPROTECTED),
    (space_laws.directions_see_no_protected_key, INDEPENDENT_KEYS, SPANS | UNPROTECTED),
    (space_laws.directions_see_no_protected_key, NEARLY_BOUND, ONCE),
    (space_laws.superposition_onto_protected_keys_is_zero, INDEPENDENT_KEYS, SPANS),
    (space_laws.freedom_is_the_squared_sine, INDEPENDENT_KEYS, SPANS | FREEDOMS),
    (space_laws.protection_has_its_price, INDEPENDENT_KEYS, SPANS | UNPROTECTED | DEAR),
    (space_laws.null_space_holds_the_smallest_eigenvalues, MOMENTS, NULLS),
    (
        space_laws.an_eigenvalue_cuts_where_it_says,
        MOMENTS,
        CUTS | some(NULLS, "share_of_the_rest", "large_eigenvalues"),
    ),
    (method_laws.the_update_is_the_least, INDEPENDENT_KEYS, SPANS | UNPROTECTED | DEAR | PROTECTED_JOINTS),
    (method_laws.all_edits_are_exact_at_the_end, INDEPENDENT_KEYS, PROTECTED_JOINTS),
    (method_laws.every_edit_is_exact_when_made, INDEPENDENT_KEYS, STREAMS),
    (method_laws.protecting_one_after_another_is_joint, INDEPENDENT_KEYS, SPANS | PROTECTED_JOINTS),
    (method_laws.a_ridge_is_a_stacked_least_squares, named("ridged"), JOINTS),
    (method_laws.a_ridge_is_a_stacked_least_squares, named("null_space"), JOINTS),
    (method_laws.alphaedit_is_joint_in_the_null_space, INDEPENDENT_KEYS, JOINTS),
    (method_laws.methods_keep_no_state, INDEPENDENT_KEYS, STATES),
    (method_laws.interference_is_predicted, named("ridged"), WRITTEN | AT_EDITS),
    (method_laws.interference_is_predicted, named("sequential"), WRITTEN | some(AT_EDITS, "not_transposed", "sign")),
    (method_laws.interference_is_predicted, named("protected_joint"), WRITTEN | some(AT_EDITS, "later_only")),
    (method_laws.lifelong_edits_write_their_residuals, INDEPENDENT_KEYS, WRITTEN),
    (order_laws.no_order_is_gentler, st.tuples(order_laws.streams()), ORDERS),
    (order_laws.groups_are_those_of_merging, st.tuples(order_laws.streams(), order_laws.THRESHOLDS), GROUPS),
]
MESSAGES = r"off by up to|expected \d+ directions|a better order|expected groups|given has been written to"
PARAMETERS: list[Any] = [
    pytest.param(law, drawn, faulty, id=f"{law.__name__}-{name}")
    for law, drawn, table in CASES
    for name, faulty in table.items()
]


@pytest.mark.parametrize(("law", "drawn", "faulty"), PARAMETERS)
def test_planted_fault_is_caught(law: Callable[..., None], drawn: st.SearchStrategy[Any], faulty: Any) -> None:
    # Only generate: to shrink the example, or to look for more, would tell nothing here.
    @settings(phases=[Phase.generate], report_multiple_bugs=False)
    @given(drawn)
    def property_test(arguments: tuple[Any, ...]) -> None:
        law(faulty, *arguments)

    with pytest.raises(AssertionError, match=MESSAGES):
        property_test()


def test_every_fault_is_planted_somewhere() -> None:
    planted = [faulty for _, _, table in CASES for faulty in table.values()]
    tables = [value for name, value in globals().items() if name.isupper() and isinstance(value, dict)]
    assert len(tables) == 15
    for table in tables:
        assert not [name for name, faulty in table.items() if not any(faulty is other for other in planted)]

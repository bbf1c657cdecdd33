"""Each law of the theory, held against implementations with one fault: the property test must fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import theory_faults as faults
import theory_laws as laws
import torch
from hypothesis import Phase, given, settings
from strategies import KEY_KINDS, EditProblem, edit_problems
from theory_laws import Theory

Law = Callable[[Theory, EditProblem], None]
Table = dict[str, Theory]

ORTHOGONAL = ("whitened_orthogonal",)
INDEPENDENT = ("generic", "clustered", "whitened_orthogonal")


def some(table: Table, *names: str) -> Table:
    return {name: table[name] for name in names}


def coordinates_law(theory: Theory, problem: EditProblem) -> None:
    change = torch.diag(torch.linspace(0.5, 2.0, problem.moment.dim, dtype=torch.float64))
    laws.superposition_ignores_the_coordinates(theory, problem, change)


WRONG_SIZE = some(faults.SHARES, "unnormalised", "norm_not_squared")
NOT_EXACT = some(faults.SINGLES, "norm_of_the_direction", "norm_of_the_key", "old_value_forgotten", "old_value_added")
NOT_OPTIMAL = some(faults.SINGLES, "along_the_key", "along_c_key", "along_half_whitened", "extra_rank")

# Which faults a law must notice, and on which keys. A law may be blind to others: transposing P keeps its diagonal.
CASES: list[tuple[Law, tuple[str, ...], Table]] = [
    (laws.orthogonal_keys_are_edited_without_loss, ORTHOGONAL, some(faults.WHITENINGS, "c_for_its_inverse", "none")),
    (
        laws.orthogonal_keys_are_edited_without_loss,
        ORTHOGONAL,
        some(faults.STREAMS, "not_divided_by_norm", "last_edit_lost", "along_the_key"),
    ),
    (laws.orthogonal_keys_are_edited_without_loss, ORTHOGONAL, some(faults.RESIDUALS, "diagonal_twice")),
    (laws.original_interference_is_the_predicted_sum, KEY_KINDS, faults.SHARES),
    (laws.original_interference_is_the_predicted_sum, KEY_KINDS, faults.ORIGINAL),
    (laws.original_interference_is_the_predicted_sum, KEY_KINDS, faults.STREAMS),
    (laws.original_interference_is_the_predicted_sum, KEY_KINDS, some(faults.WHITENINGS, "transposed_factor")),
    (laws.earlier_interference_is_the_predicted_sum, KEY_KINDS, faults.SHARES),
    (laws.earlier_interference_is_the_predicted_sum, KEY_KINDS, faults.EARLIER),
    (laws.earlier_interference_is_the_predicted_sum, KEY_KINDS, faults.RESIDUALS),
    (laws.triangular_solve_is_step_by_step, KEY_KINDS, faults.RESIDUALS),
    (laws.triangular_solve_is_step_by_step, KEY_KINDS, some(faults.WHITENINGS, "c_for_its_inverse", "none")),
    (laws.every_edit_is_exact_when_made, KEY_KINDS, faults.RESIDUALS),
    (laws.single_edit_is_exact, KEY_KINDS, NOT_EXACT),
    (laws.single_edit_is_optimal, KEY_KINDS, NOT_OPTIMAL),
    (laws.single_edit_has_rank_one, KEY_KINDS, some(faults.SINGLES, "extra_rank")),
    (laws.joint_edit_is_exact_for_all, INDEPENDENT, some(faults.JOINTS, "one_after_another", "ridge_left_in")),
    (laws.ridged_joint_edit_solves_the_normal_equations, INDEPENDENT, faults.JOINTS),
    (laws.superposition_is_the_formula, KEY_KINDS, faults.SHARES),
    (laws.superposition_is_the_formula, KEY_KINDS, faults.WHITENINGS),
    (laws.superposition_has_a_unit_diagonal, KEY_KINDS, WRONG_SIZE),
    (laws.superposition_times_its_transpose_is_cos_squared, KEY_KINDS, WRONG_SIZE),
    (
        laws.superposition_over_its_transpose_is_the_ratio_of_norms,
        KEY_KINDS,
        some(faults.SHARES, "transposed", "unnormalised", "cosine"),
    ),
    (laws.superposition_ignores_the_scale_of_the_second_moment, KEY_KINDS, WRONG_SIZE),
    (laws.superposition_ignores_a_common_scale_of_the_keys, KEY_KINDS, WRONG_SIZE),
    (coordinates_law, KEY_KINDS, faults.WHITENINGS),
    (laws.every_whitening_gives_the_same_gram, KEY_KINDS, faults.WHITENINGS),
]

PARAMETERS: list[Any] = [
    pytest.param(law, kinds, faulty, id=f"{law.__name__}-{name}")
    for law, kinds, table in CASES
    for name, faulty in table.items()
]


@pytest.mark.parametrize(("law", "kinds", "faulty"), PARAMETERS)
def test_planted_fault_is_caught(law: Law, kinds: tuple[str, ...], faulty: Theory) -> None:
    # Only generate: to shrink the example, or to look for more, would tell nothing here.
    @settings(phases=[Phase.generate], report_multiple_bugs=False)
    @given(edit_problems(kinds, distinct=kinds is INDEPENDENT))
    def property_test(problem: EditProblem) -> None:
        law(faulty, problem)

    with pytest.raises(AssertionError, match=r"off by up to|a feasible update costs"):
        property_test()


def test_every_fault_is_planted_somewhere() -> None:
    planted = [faulty for _, _, table in CASES for faulty in table.values()]
    tables = [value for name, value in vars(faults).items() if name.isupper() and isinstance(value, dict)]
    assert len(tables) == 8
    for table in tables:
        assert not [name for name, theory in table.items() if not any(theory is other for other in planted)]

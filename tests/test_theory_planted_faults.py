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
from theory_editors import joint_of, ridged_of, singles_of, stream_of
from theory_laws import Theory

from ks_core.conformance.checking import hold
from ks_core.conformance.editors import Editor
from ks_core.conformance.registry import LAWS

Law = Callable[[Theory, EditProblem], None]
Table = dict[str, Theory]


def some(table: Table, *names: str) -> Table:
    return {name: table[name] for name in names}


def coordinates_law(theory: Theory, problem: EditProblem) -> None:
    change = torch.diag(torch.linspace(0.5, 2.0, problem.moment.dim, dtype=torch.float64))
    laws.superposition_ignores_the_coordinates(theory, problem, change)


WRONG_WEIGHT = some(faults.STREAMS, "not_divided_by_norm", "last_edit_lost", "along_the_key")
WRONG_SIZE = some(faults.SHARES, "unnormalised", "norm_not_squared")
NOT_EXACT = some(faults.SINGLES, "norm_of_the_direction", "norm_of_the_key", "old_value_forgotten", "old_value_added")
NOT_OPTIMAL = some(faults.SINGLES, "along_the_key", "along_c_key", "along_half_whitened", "extra_rank")

# Which faults a law must notice, and on which keys. A law may be blind to others: transposing P keeps its diagonal.
CASES: list[tuple[Law, tuple[str, ...], Table]] = [
    (laws.residuals_predict_interference_at_every_prefix, KEY_KINDS, faults.SHARES),
    (laws.residuals_predict_interference_at_every_prefix, KEY_KINDS, faults.ORIGINAL),
    (laws.residuals_predict_interference_at_every_prefix, KEY_KINDS, some(faults.STREAMS, "residuals_reversed")),
    (laws.residuals_predict_interference_at_every_prefix, KEY_KINDS, some(faults.WHITENINGS, "transposed_factor")),
    (laws.earlier_interference_is_the_predicted_sum, KEY_KINDS, faults.SHARES),
    (laws.earlier_interference_is_the_predicted_sum, KEY_KINDS, faults.EARLIER),
    (laws.earlier_interference_is_the_predicted_sum, KEY_KINDS, faults.RESIDUALS),
    (laws.triangular_solve_is_step_by_step, KEY_KINDS, faults.RESIDUALS),
    (laws.triangular_solve_is_step_by_step, KEY_KINDS, some(faults.WHITENINGS, "c_for_its_inverse", "none")),
    (laws.every_edit_is_exact_when_made, KEY_KINDS, faults.RESIDUALS),
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

# The same for the laws of the conformance suite, each with what makes an editor of a theory.
EDITED: list[tuple[str, Callable[[Theory], Editor], Table]] = [
    ("orthogonal_keys_are_edited_without_loss", stream_of, some(faults.WHITENINGS, "c_for_its_inverse", "none")),
    ("orthogonal_keys_are_edited_without_loss", stream_of, WRONG_WEIGHT),
    ("interference_is_as_predicted", stream_of, WRONG_WEIGHT),
    ("orthogonal_keys_are_edited_without_loss", stream_of, some(faults.RESIDUALS, "diagonal_twice")),
    ("closed_form_sequential", stream_of, faults.RESIDUALS),
    ("last_edit_is_exact", singles_of, NOT_EXACT),
    ("disturbance_is_least", singles_of, NOT_OPTIMAL),
    ("rank_is_at_most_the_number_of_edits", singles_of, some(faults.SINGLES, "extra_rank")),
    ("every_edit_holds", joint_of, some(faults.JOINTS, "one_after_another", "ridge_left_in")),
    ("closed_form_ridge", ridged_of, faults.JOINTS),
]

PARAMETERS: list[Any] = [
    pytest.param(law, kinds, faulty, id=f"{law.__name__}-{name}")
    for law, kinds, table in CASES
    for name, faulty in table.items()
]


EDITED_PARAMETERS: list[Any] = [
    pytest.param(law, of, faulty, id=f"{law}-{name}") for law, of, table in EDITED for name, faulty in table.items()
]


@pytest.mark.parametrize(("law", "kinds", "faulty"), PARAMETERS)
def test_planted_fault_is_caught(law: Law, kinds: tuple[str, ...], faulty: Theory) -> None:
    # Only generate: to shrink the example, or to look for more, would tell nothing here.
    @settings(phases=[Phase.generate], report_multiple_bugs=False)
    @given(edit_problems(kinds))
    def property_test(problem: EditProblem) -> None:
        law(faulty, problem)

    with pytest.raises(AssertionError, match="off by up to"):
        property_test()


@pytest.mark.parametrize(("law", "of", "faulty"), EDITED_PARAMETERS)
def test_planted_fault_is_caught_by_the_conformance_suite(
    law: str, of: Callable[[Theory], Editor], faulty: Theory
) -> None:
    assert hold(LAWS[law], of(faulty), shrink=False).outcome == "failed"


@pytest.mark.parametrize(("law", "of"), dict.fromkeys((law, of) for law, of, _ in EDITED))
def test_the_law_that_catches_faults_holds_without_them(law: str, of: Callable[[Theory], Editor]) -> None:
    assert hold(LAWS[law], of(faults.PACKAGE)).outcome == "passed"


def test_every_fault_is_planted_somewhere() -> None:
    planted = [faulty for *_, table in (*CASES, *EDITED) for faulty in table.values()]
    tables = [value for name, value in vars(faults).items() if name.isupper() and isinstance(value, dict)]
    assert len(tables) == 8
    for table in tables:
        assert not [name for name, theory in table.items() if not any(theory is other for other in planted)]

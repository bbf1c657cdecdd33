"""The strategies draw what they claim: spectra, conditions, ranks, orthogonality; and not only easy cases."""

from __future__ import annotations

import pytest
import torch
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from oracles import assert_close, tolerance
from strategies import (
    MAX_CONDITION,
    MAX_DIM,
    SPECTRUM_KINDS,
    EditProblem,
    SecondMomentCase,
    dims,
    edit_problems,
    invertible_matrices,
    key_rows,
    orthogonal_matrices,
    rank_deficient_second_moments,
    second_moments,
    spectra,
    weights,
)

# One example is enough; to shrink it would only take time.
SEARCH = settings(max_examples=500, phases=[Phase.generate])


@given(second_moments())
def test_second_moment_has_the_spectrum_it_claims(case: SecondMomentCase) -> None:
    assert torch.equal(case.matrix, case.matrix.T)
    eigenvalues = torch.linalg.eigvalsh(case.matrix).flip(0)
    assert_close(eigenvalues, case.eigenvalues, tolerance(1.0, case.dim) * float(case.eigenvalues[0]))
    assert 1 <= case.condition_number <= MAX_CONDITION * (1 + 1e-12)  # logspace rounds its ends


@given(second_moments())
def test_root_squares_to_the_second_moment(case: SecondMomentCase) -> None:
    assert_close(case.root @ case.root, case.matrix, tolerance(1.0, case.dim) * float(case.eigenvalues[0]))


@pytest.mark.parametrize("kind", SPECTRUM_KINDS)
def test_spectrum_kinds_are_what_they_are_called(kind: str) -> None:
    @given(spectra(5, kind))
    def check(spectrum: torch.Tensor) -> None:
        ratios = spectrum[:-1] / spectrum[1:]
        assert float(spectrum.min()) > 0
        if kind == "flat":
            assert torch.equal(ratios, torch.ones_like(ratios))
        elif kind == "log_spaced":
            assert_close(ratios, ratios[0].expand_as(ratios), 1e-12 * float(ratios[0]))
            assert float(ratios[0]) > 1
        elif kind == "clustered":
            assert int((ratios > 1).sum()) <= 1
        else:
            assert bool((ratios > 1).all())
            assert float(ratios.max()) < 1 + 1e-8

    check()


def test_second_moments_are_not_only_easy() -> None:
    """Rotated ones, ill-conditioned ones, width 1, and the full width all turn up."""
    find(second_moments(), lambda case: case.condition_number > 1e5, settings=SEARCH)
    find(second_moments(), lambda case: case.dim == 1, settings=SEARCH)
    find(second_moments(), lambda case: case.dim == MAX_DIM, settings=SEARCH)
    find(
        second_moments(kind="log_spaced"),
        lambda case: float((case.matrix - torch.diag(case.matrix.diagonal())).norm() / case.matrix.norm()) > 0.3,
        settings=SEARCH,
    )


@given(dims().flatmap(orthogonal_matrices))
def test_orthogonal_matrices_are_orthogonal(basis: torch.Tensor) -> None:
    identity = torch.eye(len(basis), dtype=torch.float64)
    assert_close(basis.T @ basis, identity, tolerance(1.0, len(basis)))


def test_orthogonal_matrices_have_haar_moments() -> None:
    """An entry of a Haar matrix of width d has mean 0 and mean square 1/d; without the sign fix its mean is off."""
    drawn: list[float] = []

    @settings(max_examples=400)
    @given(orthogonal_matrices(3))
    def collect(basis: torch.Tensor) -> None:
        drawn.append(float(basis[0, 0]))

    collect()
    entries = torch.tensor(drawn, dtype=torch.float64)
    # The standard errors are √(1/3 / 400) = 0.029 and √(4/45 / 400) = 0.015; four of them are allowed.
    # Unfixed QR makes R's diagonal negative, and the entry's mean −0.5.
    assert abs(float(entries.mean())) < 0.12
    assert abs(float(entries.square().mean()) - 1 / 3) < 0.06


@given(rank_deficient_second_moments())
def test_rank_deficiency_is_real(drawn: tuple[torch.Tensor, int]) -> None:
    matrix, rank = drawn
    eigenvalues = torch.linalg.eigvalsh(matrix).flip(0) / torch.linalg.matrix_norm(matrix, 2)
    assert 1 <= rank < len(matrix)
    assert float(eigenvalues[rank - 1]) > 0.3
    assert float(eigenvalues[rank:].abs().max()) <= tolerance(1.0, len(matrix))


def test_rank_deficient_second_moments_are_not_diagonal() -> None:
    find(
        rank_deficient_second_moments(),
        lambda drawn: abs(float(drawn[0][0, 1] / drawn[0].max())) > 0.1,
        settings=SEARCH,
    )


@given(st.data(), dims(), dims())
def test_weights_and_invertible_matrices_are_well_conditioned(data: st.DataObject, d_value: int, d_key: int) -> None:
    singular = torch.linalg.svdvals(data.draw(weights(d_value, d_key)))
    assert float(singular.min()) > 0.5 - 1e-12
    assert float(singular.max()) < 2 + 1e-12
    assert float(torch.linalg.cond(data.draw(invertible_matrices(d_key, 10.0)))) <= 10 * (1 + 1e-12)


@given(second_moments(4), st.data())
def test_key_kinds_are_what_they_are_called(moment: SecondMomentCase, data: st.DataObject) -> None:
    allowed = tolerance(moment.condition_number, 4)

    def whitened(kind: str) -> torch.Tensor:
        return (data.draw(key_rows(moment, 4, kind)) @ moment.basis) / moment.eigenvalues.sqrt()

    duplicates = whitened("duplicates")
    assert torch.equal(duplicates[0], duplicates[1])
    assert not torch.equal(duplicates[1], duplicates[2])
    orthogonal = whitened("whitened_orthogonal")
    products = orthogonal @ orthogonal.T
    assert_close(products - torch.diag(products.diagonal()), torch.zeros_like(products), 4 * allowed)
    units = torch.nn.functional.normalize(whitened("clustered"), dim=1)
    assert float((units @ units.T).min()) > 0.95  # within 0.1 of one direction on each side: cos² ≥ 1 − (0.2 / 0.9)²
    norms = torch.linalg.vector_norm(whitened("generic"), dim=1)
    assert bool(((norms > 0.5 - allowed) & (norms < 2 + allowed)).all())


def test_too_many_orthogonal_keys_are_refused() -> None:
    @given(second_moments(2), st.data())
    @settings(max_examples=1)
    def check(moment: SecondMomentCase, data: st.DataObject) -> None:
        with pytest.raises(ValueError, match="3 orthogonal keys do not fit into 2 dimensions"):
            data.draw(key_rows(moment, 3, "whitened_orthogonal"))

    check()


@given(edit_problems())
def test_edit_problems_have_shapes_that_fit(problem: EditProblem) -> None:
    d_value, d_key = problem.weight.shape
    assert problem.keys.shape == (len(problem.values), d_key)
    assert problem.values.shape[1] == d_value
    assert problem.others.shape[1] == problem.moment.dim == d_key


def test_edit_problems_reach_the_corners() -> None:
    problems = edit_problems()
    find(problems, lambda p: len(p.keys) == 1, settings=SEARCH)
    find(problems, lambda p: p.moment.dim == 1, settings=SEARCH)
    find(problems, lambda p: len(p.keys) > p.moment.dim, settings=SEARCH)
    find(problems, lambda p: p.weight.shape[0] == 1, settings=SEARCH)
    find(problems, lambda p: p.weight.shape[0] == p.weight.shape[1], settings=SEARCH)


@given(edit_problems(("generic", "clustered", "whitened_orthogonal"), distinct=True))
def test_distinct_keys_are_independent(problem: EditProblem) -> None:
    rows = (problem.keys @ problem.moment.basis) / problem.moment.eigenvalues.sqrt()
    assert int(torch.linalg.matrix_rank(rows)) == len(rows)

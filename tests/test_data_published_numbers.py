"""The published GPT2-small numbers obey the laws that P and Q must obey, and the loader keeps them as they are."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from itertools import combinations

import pytest

from ks_core.data.fixtures import fixture_path
from ks_core.data.published_numbers import PublishedEntry, PublishedNumbers, known_case_ids, published_gpt2_small


@pytest.fixture(scope="module")
def numbers() -> PublishedNumbers:
    return published_gpt2_small()


def test_published_numbers_have_one_value_per_layer(numbers):
    per_layer = [field.name for field in fields(numbers) if field.type == "tuple[float, ...]"]
    assert len(per_layer) == 9
    assert {len(getattr(numbers, name)) for name in per_layer} == {12}


def test_published_numbers_are_those_of_the_file(numbers):
    content = json.loads(fixture_path("paper/gpt2_small.json").read_text(encoding="utf-8"))
    assert list(numbers.p_kurtosis) == content["layers"]["P_kurtosis"]["plot"]
    assert list(numbers.p_share_above_tenth) == content["layers"]["P_share_above_0.1"]
    first = numbers.p_layer0_largest[0]
    assert [first.row, first.column, first.value] == content["P_layer0_top"][0]
    assert numbers.fact_count == 128


def test_largest_entries_fall_and_are_off_the_diagonal(numbers):
    for entries in (numbers.p_layer0_largest, numbers.q_layer0_largest):
        values = [entry.value for entry in entries]
        assert values == sorted(values, reverse=True)
        assert all(entry.row != entry.column for entry in entries)
        assert all(0 <= index < 128 for entry in entries for index in (entry.row, entry.column))


def test_subjects_of_the_largest_entries_are_named(numbers):
    largest = (*numbers.p_layer0_largest, *numbers.q_layer0_largest)
    assert {entry.row for entry in largest} | {entry.column for entry in largest} <= set(numbers.subjects)


def broken_cycles(entries: tuple[PublishedEntry, ...], error: float) -> list[tuple[int, int, int]]:
    """Index triples for which P_ij P_jk P_ki ≠ P_ik P_kj P_ji, beyond what an error in each entry explains.

    Since P_ij = G_ij / d_i with G symmetric, both products equal G_ij G_jk G_ki / (d_i d_j d_k). To first order, an
    error in each of the six entries moves the difference by at most the error times the products of the other two.
    """
    value = {(entry.row, entry.column): entry.value for entry in entries}
    indices = sorted({entry.row for entry in entries})
    broken = []
    for i, j, k in combinations(indices, 3):
        forward = [value[i, j], value[j, k], value[k, i]]
        backward = [value[i, k], value[k, j], value[j, i]]
        slack = sum(
            abs(a * b) + error * (abs(a) + abs(b)) for way in (forward, backward) for a, b in combinations(way, 2)
        )
        if abs(forward[0] * forward[1] * forward[2] - backward[0] * backward[1] * backward[2]) > error * slack:
            broken.append((i, j, k))
    return broken


def test_printed_superposition_is_a_symmetric_matrix_with_scaled_rows(numbers):
    entries, error = numbers.p_layer0_printed, numbers.p_layer0_printed_error
    assert len(entries) == 36
    assert broken_cycles(entries, error) == []
    flipped = tuple(  # the planted fault: two entries change places, as if row and column had been confused
        replace(entry, row=entry.column, column=entry.row) if {entry.row, entry.column} == {0, 1} else entry
        for entry in entries
    )
    assert broken_cycles(flipped, error) != []


def test_printed_superposition_has_a_unit_diagonal_and_cosines_below_one(numbers):
    value = {(entry.row, entry.column): entry.value for entry in numbers.p_layer0_printed}
    for (i, j), one in value.items():
        assert one * value[j, i] >= -numbers.p_layer0_printed_error
        assert one * value[j, i] <= 1
        if i == j:
            assert one == 1


def test_printed_gram_matrix_obeys_cauchy_schwarz(numbers):
    value = {(entry.row, entry.column): entry.value for entry in numbers.q_layer0_printed}
    assert len(value) == 21
    for i, j in value:
        assert value[i, j] ** 2 <= value[i, i] * value[j, j]


def test_known_case_ids_are_the_436_distinct_ones():
    ids = known_case_ids()
    assert len(ids) == len(set(ids)) == 436
    assert all(isinstance(case_id, int) for case_id in ids)

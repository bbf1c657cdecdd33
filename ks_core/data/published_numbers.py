"""The paper's published numbers for GPT2-small, and the facts its authors used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ks_core.data.fixtures import fixture_path


@dataclass(frozen=True)
class PublishedEntry:
    """One off-diagonal entry of a published matrix; indices count the facts in the authors' order."""

    row: int
    column: int
    value: float


@dataclass(frozen=True)
class PublishedNumbers:
    """Statistics of the off-diagonal entries of P and Q as the authors published them, one number per layer.

    Kurtosis is the excess, biased one. Numbers were digitised from plots where an error is given for them.

    Attributes:
        p_digitised_error: absolute error of one digitised entry of P, and so of the smallest and the largest
        p_share_above_tenth: share of the entries above 0.1
        p_layer0_largest: the largest entries of P at layer 0, largest first; row is the edited fact, column the one
            that suffers
        q_layer0_largest: the largest entries of Q at layer 0, row before column (Q is symmetric)
        p_layer0_printed: entries of P at layer 0 that the authors' notebook prints, the unit diagonal included
        p_layer0_printed_error: absolute error of those
        q_layer0_printed: entries of Q at layer 0 that the authors' notebook prints, diagonal included, row not after
            column
        subjects: subjects of the facts in the largest entries, by index
    """

    model: str
    fact_count: int
    p_kurtosis: tuple[float, ...]
    p_kurtosis_error: float
    q_kurtosis: tuple[float, ...]
    q_kurtosis_error: float
    p_mean: tuple[float, ...]
    p_std: tuple[float, ...]
    p_min: tuple[float, ...]
    p_max: tuple[float, ...]
    p_digitised_error: float
    p_share_above_tenth: tuple[float, ...]
    q_offdiagonal_mean: tuple[float, ...]
    q_diagonal_mean: tuple[float, ...]
    p_layer0_largest: tuple[PublishedEntry, ...]
    q_layer0_largest: tuple[PublishedEntry, ...]
    p_layer0_printed: tuple[PublishedEntry, ...]
    p_layer0_printed_error: float
    q_layer0_printed: tuple[PublishedEntry, ...]
    subjects: Mapping[int, str]


def published_gpt2_small() -> PublishedNumbers:
    """The published numbers for GPT2-small.

    Source: Hu et al., AAAI 2025, arXiv 2408.07413, and the authors' published notebooks.

    Example:
        >>> numbers = published_gpt2_small()
        >>> len(numbers.p_kurtosis), numbers.p_kurtosis[0]
        (12, 72.65)
    """
    content = _read("gpt2_small.json")
    layers = content["layers"]
    return PublishedNumbers(
        model=content["model"],
        fact_count=content["facts"],
        p_kurtosis=tuple(layers["P_kurtosis"]["plot"]),
        p_kurtosis_error=layers["P_kurtosis"]["plot_error"],
        q_kurtosis=tuple(layers["Q_kurtosis"]["plot"]),
        q_kurtosis_error=layers["Q_kurtosis"]["plot_error"],
        p_mean=tuple(layers["P_mean"]),
        p_std=tuple(layers["P_std"]),
        p_min=tuple(layers["P_min"]),
        p_max=tuple(layers["P_max"]),
        p_digitised_error=layers["digitised_error"]["P_min_max"],
        p_share_above_tenth=tuple(layers["P_share_above_0.1"]),
        q_offdiagonal_mean=tuple(layers["Q_offdiagonal_mean"]),
        q_diagonal_mean=tuple(layers["Q_diagonal_mean"]),
        p_layer0_largest=_entries(content["P_layer0_top"]),
        q_layer0_largest=_entries(content["Q_layer0_top"]),
        p_layer0_printed=_corner(content["P_layer0_corner"]["indices"], content["P_layer0_corner"]["values"]),
        p_layer0_printed_error=content["P_layer0_corner"]["noise"],
        q_layer0_printed=_corner(content["Q_layer0_corner"]["indices"], content["Q_layer0_corner"]["upper_triangle"]),
        subjects=MappingProxyType({int(index): name for index, name in content["subjects"].items()}),
    )


def known_case_ids() -> tuple[int, ...]:
    """Ids of the 436 CounterFact records that all the authors' models know, in their order; they use the first 128.

    Example:
        >>> known_case_ids()[:3]
        (12328, 19640, 17180)
    """
    return tuple(_read("known_case_ids.json")["case_ids"])


def _read(name: str) -> Any:
    return json.loads(fixture_path(f"paper/{name}").read_text(encoding="utf-8"))


def _entries(rows: list[list[float]]) -> tuple[PublishedEntry, ...]:
    return tuple(PublishedEntry(int(row), int(column), value) for row, column, value in rows)


def _corner(indices: list[int], rows: list[list[float]]) -> tuple[PublishedEntry, ...]:
    """Entries of a printed block; a row that is shorter than the indices begins at the diagonal."""
    return tuple(
        PublishedEntry(row, column, value)
        for row, values in zip(indices, rows, strict=True)
        for column, value in zip(indices[-len(values) :], values, strict=True)
    )

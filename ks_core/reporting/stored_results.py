"""A results.json as a value: its findings, its statistics by layer, and everything as rows."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from ks_core import arguments
from ks_core.claims.finding import Bound, Finding, Judged, Reference, Verdict
from ks_core.errors import InputError
from ks_core.extras import require
from ks_core.formatting import shown, shown_path
from ks_core.reporting.pairs_file import read_pairs
from ks_core.reporting.results_file import read_results
from ks_core.reporting.rows import data_frame

if TYPE_CHECKING:
    import pandas

SETS = {"statistics": "all", "one_fact_per_subject": "one per subject"}
"""Part of the file → which facts its statistics are of."""


@dataclass(frozen=True)
class ResultRow:
    """One number of a run with its errors, its unit and what it is of; NaN where it, or an error, is not defined.

    Attributes:
        model: where it is from: a folder, or a name with its revision
        claim: id of the finding; empty for a statistic
        matrix: of a statistic: P, Q, whitened_cosine or activation_cosine; empty for a finding
        facts: of a statistic: `all` or `one per subject`; empty for a finding
        quantity: what was measured, for the reader; the name of the statistic
        layer: None where it is of no single one
        facts_error, text_error: standard errors over facts and over text
        error: both in quadrature
        count: n, of what `counted` says
        unit: `1` for a number without; empty where an older file does not say
        verdict: on a finding; empty for a statistic
    """

    model: str
    claim: str
    matrix: str
    facts: str
    quantity: str
    layer: int | None
    value: float
    facts_error: float
    text_error: float
    error: float
    count: int
    counted: str
    unit: str
    verdict: str


@dataclass(frozen=True, eq=False, repr=False)
class StoredResults:
    """What a results.json holds; nothing in it can be changed.

    Attributes:
        path: the file that was read; beside it lie the matrices
        format: of the file
        model: where the model is from
        settings, provenance: what was asked for, and what the numbers depend on, as plain values
        findings: in the order of the file; NaN stands for what was not finite
        rows: a row for each finding, then for each statistic of a layer
        content: everything in the file, of the newest format: mappings and tuples, None for what was not finite
    """

    path: Path
    format: str
    model: str
    settings: Mapping[str, Any]
    provenance: Mapping[str, Any]
    findings: tuple[Finding, ...]
    rows: tuple[ResultRow, ...]
    content: Mapping[str, Any]

    @property
    def files(self) -> tuple[Path, ...]:
        """What the results are read from: their own file, and that of the matrices where they name one."""
        matrices = self.content["matrices"]
        return (self.path,) if matrices is None else (self.path, self.path.parent / matrices["file"])

    def statistic(self, matrix: str, name: str, layer: int, *, facts: str = "all") -> ResultRow:
        """One number: `statistic("P", "kurtosis", 5).value`.

        Args:
            matrix: of the pairs.
            name: of the statistic.
            layer: that was measured.
            facts: "all" or "one per subject".

        Raises:
            InputError: there is no such number.
        """
        asked = (matrix, name, layer, facts)
        rows = [row for row in self.rows if (row.matrix, row.quantity, row.layer, row.facts) == asked and row.matrix]
        if not rows:
            known = [
                sorted({str(getattr(row, of)) for row in self.rows if row.matrix}) for of in ("matrix", "quantity")
            ]
            raise InputError(
                f"there is no {shown(name)} of {shown(matrix)} in layer {shown(layer)}, facts {shown(facts)}; expected "
                f"a matrix of {', '.join(known[0])}, a statistic of {', '.join(known[1])}, a layer of "
                f"{shown(list(self.content['layers']))}, facts 'all' or 'one per subject'"
            )
        return rows[0]

    def matrix(self, name: str) -> NDArray[Any]:
        """Every entry of a pair matrix, from the file beside the results: `matrix("P")[place, edited, disturbed]`.

        Args:
            name: P, whitened_cosine or activation_cosine.

        Returns:
            float32, shape (layers, n, n), in the order of `content["layers"]` and `content["facts"]["measured"]`.

        Raises:
            InputError: results of an older format, or the file is missing, damaged or of another run.
        """
        facts = len(self.content["facts"]["measured_case_ids"])
        shape = (len(self.content["layers"]), facts, facts)
        return read_pairs(self.path, self.content["matrices"], name, shape)

    def to_frame(self) -> pandas.DataFrame:
        """`rows` as a pandas DataFrame; its columns are the fields of `ResultRow`.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        columns = [field.name for field in fields(ResultRow)]
        frame = data_frame([vars(row) for row in self.rows], columns)
        return frame.astype({"layer": "Int64"})  # a whole number, or none

    def __repr__(self) -> str:
        numbers = f"findings={len(self.findings)}, statistics={len(self.rows) - len(self.findings)}"
        return f"StoredResults(model={shown(self.model)}, {numbers})"


def load_results(path: str | os.PathLike[str]) -> StoredResults:
    """Read a results.json back, as `pytest -m paper` wrote it.

    All of it is checked against the schema beside the code (`ks_core/reporting/results.schema.json`). Format 4 is read,
    and 3 and 2 beside it: those have the same numbers, but neither the texts of facts nor the matrices.

    Args:
        path: the file.

    Raises:
        MissingExtraError: `ks_core[paper]` is not installed.
        InputError: no such file, a folder, a pipe, more than 256 MiB, cut short, no JSON (a key twice and NaN are
            none), a key that is missing, unknown or of another type, another format or version.

    Example:
        >>> load_results("nowhere/results.json")
        Traceback (most recent call last):
        ...
        ks_core.errors.InputError: nowhere/results.json cannot be read: ...
    """
    require("paper", "load_results")
    given = Path(arguments.word("path", path))
    form, content = read_results(given)
    findings = tuple(_finding(given, index, each) for index, each in enumerate(content["findings"]))
    _refuse_twice(given, findings)
    rows = (*(_of_finding(content["model"], of) for of in findings), *_of_statistics(content))
    frozen: Mapping[str, Any] = _frozen(content)
    named = {name: frozen[name] for name in ("model", "settings", "provenance")}
    return StoredResults(path=given, format=form, **named, findings=findings, rows=rows, content=frozen)


def _finding(path: Path, index: int, content: Mapping[str, Any]) -> Finding:
    own = {field.name: content[field.name] for field in fields(Finding) if field.name != "judged"}
    low, high = map(_number, content["interval"])
    familywise = content["familywise"] and tuple(map(_number, content["familywise"]))
    value, facts_error, text_error = (_number(content[name]) for name in ("value", "facts_error", "text_error"))
    bound = Bound(**{name: _unless_text(of) for name, of in content["bound"].items()})
    judged = Judged(value, facts_error, text_error, (low, high), bound, Verdict(content["verdict"]), familywise)
    references = tuple(
        Reference(of["source"], _number(of["value"]), of["to"], of["error"]) for of in content["references"]
    )
    lists = {name: tuple(content[name]) for name in ("layers", "facts")}
    found = Finding(**{**own, **lists, "references": references, "judged": judged})
    if found.id != content["id"]:
        raise InputError(
            f"{shown_path(path)}: findings[{index}].id is {shown(content['id'])}; expected {shown(found.id)}, as its "
            "claim, part, family and variant make it: restore the file, or measure again"
        )
    return found


def _refuse_twice(path: Path, findings: tuple[Finding, ...]) -> None:
    names = [of.id for of in findings]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise InputError(
                f"{shown_path(path)}: the finding {shown(name)} comes twice; expected each once: restore the file, or "
                "measure again"
            )


def _of_finding(model: str, of: Finding) -> ResultRow:
    return ResultRow(
        model=model, claim=of.id, matrix="", facts="", quantity=of.quantity, layer=of.layer, value=of.value,
        facts_error=of.judged.facts_error, text_error=of.judged.text_error, error=of.error, count=of.count,
        counted=of.counted, unit=of.unit, verdict=of.verdict.value,
    )  # fmt: skip


def _of_statistics(content: Mapping[str, Any]) -> list[ResultRow]:
    return [
        _of_statistic(content["model"], matrix, SETS[part], name, layer, of, place)
        for part in SETS
        for matrix, by_name in content[part].items()
        for name, of in by_name.items()
        for place, layer in enumerate(content["layers"])
    ]


def _of_statistic(
    model: str, matrix: str, facts: str, name: str, layer: int, of: Mapping[str, Any], place: int
) -> ResultRow:
    value, facts_error, text_error, error = (
        _number(of[field][place]) for field in ("value", "facts_error", "text_error", "error")
    )
    return ResultRow(
        model=model, claim="", matrix=matrix, facts=facts, quantity=name, layer=layer, value=value,
        facts_error=facts_error, text_error=text_error, error=error, count=of["count"], counted=of["counted"],
        unit=of["unit"], verdict="",
    )  # fmt: skip


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _unless_text(value: Any) -> Any:
    return value if isinstance(value, str) else _number(value)


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return MappingProxyType({name: _frozen(item) for name, item in value.items()})
    return tuple(map(_frozen, value)) if isinstance(value, list) else value

"""The record of a patch: who was edited and how (edits.json), and the numbers that its closed form is of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ks_core.checked_files import StoredTensors, read_json, read_tensors, sealed_json, write_tensors
from ks_core.data.fact import Fact
from ks_core.errors import ProvenanceError
from ks_core.formatting import shown_path
from ks_core.measurement.moments.peers.imported import stored_moments
from ks_core.measurement.values import TargetValues, ValueSettings
from ks_core.patches.base import Base
from ks_core.patches.edits import Edits
from ks_core.patches.patch import Patch
from ks_core.theory.editing import Edit, EditTerms
from ks_core.theory.methods import FORMS

RECORD, NUMBERS = "edits.json", "edits.safetensors"
"""Names of the two files."""

FORM, FORM_OF_NUMBERS = "ks_core/patch/1", "ks_core/patch-numbers/1"

REMEDY = "take an undamaged copy of the folder, or make the edits anew"


def write_numbers(folder: Path, patch: Patch) -> None:
    """Write keys, values, residuals and directions of every edit, float64, by layer; see `read_record`."""
    tensors = {f"layers.{edits.layer}.{name}": rows for edits in patch.edits for name, rows in _numbers(edits).items()}
    write_tensors(folder / NUMBERS, FORM_OF_NUMBERS, {}, tensors)


def write_record(folder: Path, patch: Patch, files: Mapping[str, str]) -> None:
    """Write all else, and the hash of every file of the folder.

    Args:
        folder: that the numbers are in.
        patch: whose record it is.
        files: SHA-256 by name.
    """
    content = {
        "kind": patch.kind,
        "base": asdict(patch.base),
        "layers": [_as_json(edits) for edits in patch.edits],
        "files": dict(files),
    }
    (folder / RECORD).write_text(sealed_json(FORM, content), encoding="utf-8")


def read_files(folder: Path) -> dict[str, str]:
    """The SHA-256 that each file of a patch is to have, by its name.

    Raises:
        NotStoredError: there is no record.
        ProvenanceError: it is damaged, of another version, or names a file outside the folder.
    """
    content = read_json(folder / RECORD, FORM, remedy=REMEDY)
    with _damage(folder):
        files = {str(name): str(digest) for name, digest in content["files"].items()}
        if outside := [name for name in files if Path(name).is_absolute() or ".." in Path(name).parts]:
            raise ValueError(f"it names the file {outside[0]!r}")
        return files


def read_record(folder: Path) -> Patch:
    """The patch of a folder whose files were checked.

    Raises:
        NotStoredError: there is no record, or none of its numbers.
        ProvenanceError: one of them is damaged or of another version.
    """
    content = read_json(folder / RECORD, FORM, remedy=REMEDY)
    with read_tensors(folder / NUMBERS, FORM_OF_NUMBERS) as stored, _damage(folder):
        base = Base(**{**content["base"], "fingerprints": tuple(content["base"]["fingerprints"])})
        return Patch(content["kind"], tuple(_edits(base, layer, stored) for layer in content["layers"]))


def _numbers(edits: Edits) -> dict[str, Tensor]:
    numbers = {of.name: getattr(edits.values, of.name) for of in fields(TargetValues)}
    if edits.terms is None:
        return {**numbers, "left": edits.edit.left, "right": edits.edit.right}
    return {**numbers, "residuals": edits.terms.residuals, "directions": edits.terms.directions}


def _as_json(edits: Edits) -> dict[str, Any]:
    return {
        "layer": edits.layer,
        "projection": edits.base.projection(edits.layer),
        "before_sha256": edits.before_sha256,
        "method": edits.method,
        "ridge": edits.ridge,
        "search": asdict(edits.search),
        "moments": edits.moments.provenance.record(),
        "moments_layers": edits.moments.layers,
        "protected": [asdict(fact) for fact in edits.protected],
        "edits": [asdict(fact) for fact in edits.facts],
    }


def _edits(base: Base, content: Mapping[str, Any], stored: StoredTensors) -> Edits:
    layer, method = content["layer"], content["method"]
    facts = _facts(content["edits"])

    def get(name: str, *width: None, dtype: torch.dtype = torch.float64, rows: int | None = len(facts)) -> Tensor:
        return stored.get(f"layers.{layer}.{name}", dtype=dtype, shape=(rows, *width))

    values = TargetValues(get("keys", None), get("values", None), get("probabilities"), get("steps", dtype=torch.int64))
    own = method not in FORMS
    terms = None if own else EditTerms(values.keys, get("residuals", None), get("directions", None))
    edit = Edit(get("left", None, rows=None), get("right", None, rows=None)) if terms is None else FORMS[method](terms)
    return Edits(
        base=base,
        layer=layer,
        method=method,
        facts=facts,
        values=values,
        terms=terms,
        edit=edit,
        search=ValueSettings(**content["search"]),
        moments=stored_moments(content["moments"], content["moments_layers"]),
        ridge=content["ridge"],
        protected=_facts(content["protected"]),
        before_sha256=content["before_sha256"],
    )


def _facts(records: list[dict[str, Any]]) -> tuple[Fact, ...]:
    return tuple(Fact(**record) for record in records)


@contextmanager
def _damage(folder: Path) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProvenanceError(
            f"{shown_path(folder / RECORD)} is no record of edits ({error}); expected it as ks_core wrote it: {REMEDY}"
        ) from error

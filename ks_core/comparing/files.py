"""A comparison as JSON, by the schema that ships beside this file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ks_core.comparing.difference import Diff
from ks_core.comparing.tensors import TensorChange
from ks_core.comparing.values import LayerChange
from ks_core.data.fact import Fact
from ks_core.measurement.consequences import Change, Consequences
from ks_core.outputs import write_text
from ks_core.statistics.means import Mean
from ks_core.strict_json import finite_or_none

FORMAT = "ks_core/diff/1"


def write_diff(found: Diff, path: Path, complaints: list[str]) -> None:
    """Write a comparison, and the thresholds that it breaks.

    Raises:
        InputError: the file cannot be written.
    """
    content = as_json(found) | {"complaints": complaints}
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def as_json(found: Diff) -> dict[str, Any]:
    """Everything in a comparison as plain JSON values."""
    facts = [*found.edits, *found.keep]
    return {
        "format": FORMAT,
        "base": found.base,
        "edited": found.edited,
        "model_type": found.model_type,
        "compared": found.compared,
        "settings_differ": found.settings_differ,
        "tokenizers_differ": found.tokenizers_differ,
        "tensors": [_tensor(of, found.ranks.get(of.name)) for of in found.changes],
        "layers": [_layer(of, facts, len(found.edits)) for of in found.layers],
        "consequences": None if found.consequences is None else _consequences(found.consequences),
        "left_out": [vars(of) for of in found.left_out],
    }


def _tensor(of: TensorChange, rank: int | None) -> dict[str, Any]:
    return {
        "name": of.name,
        "layer": of.layer,
        "shape": list(of.shape),
        "dtypes": list(of.dtypes),
        "norm": of.norm,
        "share_of_weight": finite_or_none(of.growth),
        "entries": of.entries,
        "changed": of.changed,
        "only_rounded": of.only_rounded,
        "rank": rank,
        "rank_tolerance": of.rounding,
    }


def _layer(of: LayerChange, facts: list[Fact], edits: int) -> dict[str, Any]:
    at = [
        {
            "kind": "edit" if place < edits else "keep",
            "case_id": fact.case_id,
            "moved": float(moved),
            "along": float(along),
        }
        for place, (fact, moved, along) in enumerate(zip(facts, of.moved, of.along, strict=True))
    ]
    return {
        "layer": of.layer,
        "direction": of.direction,
        "within": of.within,
        "chance": of.chance,
        "text_length": of.text_length,
        "facts": at,
    }


def _consequences(found: Consequences) -> dict[str, Any]:
    changes = {name: getattr(found, name) for name in ("efficacy", "paraphrase", "neighbourhood", "log_perplexity")}
    return {
        **{name: _change(of) for name, of in changes.items()},
        "kept_lost": _mean(found.lost),
        "kept_loss": _mean(found.loss),
        "kept": [
            {
                "case_id": of.fact.case_id,
                "subject": of.fact.subject,
                "target_true": of.fact.target_true,
                "loss": of.loss,
                "overtaken_by": of.overtaken_by,
            }
            for of in found.kept
        ],
    }


def _change(of: Change) -> dict[str, Any]:
    return {"before": _mean(of.before), "after": _mean(of.after), "change": _mean(of.change)}


def _mean(of: Mean) -> dict[str, Any]:
    return {"value": finite_or_none(of.value), "error": finite_or_none(of.error), "n": of.count}

"""Target values in the cache, a file for each batch, so that an interrupted search goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ks_core.data.facts import Fact
from ks_core.errors import ProvenanceError
from ks_core.files import atomic_path, cache_dir
from ks_core.measurement.values import EDITS_AT_ONCE, TargetValues, ValueSettings, target_values
from ks_core.models.loading import LoadedModel

FORMAT = "ks_core/target-values/1"
"""Raised when the search changes what it finds."""


def kept_target_values(
    model: LoadedModel, facts: Sequence[Fact], layer: int, settings: ValueSettings | None = None
) -> TargetValues:
    """`target_values` of a model as it was loaded, taken from the cache where they are there.

    Do not call it inside `edited`: what is kept goes by the hash that the weights had when they were loaded.

    Raises:
        ProvenanceError: a kept file is damaged, or is for something else.
        InputError: as `target_values`.
    """
    settings = settings or ValueSettings()
    batches = [facts[start : start + EDITS_AT_ONCE] for start in range(0, len(facts), EDITS_AT_ONCE)]
    found = [_batch(model, batch, layer, settings) for batch in batches]
    return TargetValues(*(torch.cat([getattr(part, field.name) for part in found]) for field in fields(TargetValues)))


def _batch(model: LoadedModel, facts: Sequence[Fact], layer: int, settings: ValueSettings) -> TargetValues:
    content = {
        "model": model.fingerprints,
        "layer": layer,
        "edits": [(fact.prompt, fact.subject, fact.separators[1], fact.target_new) for fact in facts],
        "settings": asdict(settings),
    }
    made_from = json.dumps(content, sort_keys=True)
    path = cache_dir() / "values" / f"{hashlib.sha256(made_from.encode()).hexdigest()[:16]}.safetensors"
    if path.is_file():
        return _read(path, made_from)
    found = target_values(model, facts, layer, settings)
    with atomic_path(path) as made:
        save_file({field.name: getattr(found, field.name) for field in fields(found)}, made, {FORMAT: made_from})
    return found


def _read(path: Path, made_from: str) -> TargetValues:
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get(FORMAT) != made_from:
                raise ProvenanceError(f"{path} holds target values of other edits, or of another version; remove it")
            return TargetValues(*(file.get_tensor(field.name) for field in fields(TargetValues)))
    except SafetensorError as error:
        raise ProvenanceError(f"{path} is truncated or damaged ({error}); remove it and it is made again") from error

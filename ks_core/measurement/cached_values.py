"""Target values in the cache, a file for each batch, so that an interrupted search goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch

from ks_core.checked_files import read_tensors, write_tensors
from ks_core.data.facts import Fact
from ks_core.errors import ProvenanceError
from ks_core.files import cache_dir, is_stored, short_hash
from ks_core.measurement.values import EDITS_AT_ONCE, TargetValues, ValueSettings, target_values_at
from ks_core.models.loaded import LoadedModel

FORMAT = "ks_core/target-values/2"
"""Raised when the search changes what it finds, or the file how it is cached."""


def cached_target_values(
    model: LoadedModel, facts: Sequence[Fact], layer: int, settings: ValueSettings | None = None
) -> TargetValues:
    """`target_values` of a model as it is, edited or not, taken from the cache where they are there.

    Raises:
        ProvenanceError: a cached file is damaged, or is for something else.
        InputError: as `target_values`; or the model was changed while it was searched.
        StorageError: the cache cannot be written.
    """
    settings = settings or ValueSettings()
    (found,) = cached_target_values_at(model, facts, layer, (settings.target_probability,), settings)
    return found


def cached_target_values_at(
    model: LoadedModel,
    facts: Sequence[Fact],
    layer: int,
    probabilities: Sequence[float],
    settings: ValueSettings | None = None,
) -> tuple[TargetValues, ...]:
    """`target_values_at` in the cache; what was searched on the way to another probability is kept apart.

    Raises:
        ProvenanceError, InputError, StorageError: as `cached_target_values`.
    """
    settings = replace(settings or ValueSettings(), target_probability=probabilities[-1])
    made_from: dict[str, Any] = {"model": list(model.fingerprints), "layer": layer, "settings": asdict(settings)}
    if len(probabilities) > 1:
        made_from["probabilities"] = list(probabilities)
    batches = [facts[start : start + EDITS_AT_ONCE] for start in range(0, len(facts), EDITS_AT_ONCE)]
    found = [_batch(model, batch, layer, probabilities, settings, made_from) for batch in batches]
    return tuple(
        TargetValues(*(torch.cat([getattr(part, field.name) for part in of_level]) for field in fields(TargetValues)))
        for of_level in zip(*found, strict=True)
    )


def _batch(
    model: LoadedModel,
    facts: Sequence[Fact],
    layer: int,
    probabilities: Sequence[float],
    settings: ValueSettings,
    of_all: dict[str, Any],
) -> tuple[TargetValues, ...]:
    edits = [[fact.prompt, fact.subject, fact.separators[1], fact.target_new] for fact in facts]
    single = {**of_all, "edits": edits}
    levels = [single if len(probabilities) == 1 else {**single, "probability": level} for level in probabilities]
    texts = [json.dumps(level, sort_keys=True) for level in levels]
    paths = [cache_dir() / "values" / f"{short_hash(text)}.safetensors" for text in texts]
    if all(map(is_stored, paths)):
        shape = len(facts), model.adapter.d_key, model.adapter.d_value
        return tuple(_read(path, text, *shape) for path, text in zip(paths, texts, strict=True))
    found = target_values_at(model, facts, layer, probabilities, settings)
    model.require(tuple(of_all["model"]))
    for path, text, values in zip(paths, texts, found, strict=True):
        tensors = {field.name: getattr(values, field.name) for field in fields(values)}
        write_tensors(path, FORMAT, {"made_from": text}, tensors)
    return found


def _read(path: Path, made_from: str, count: int, d_key: int, d_value: int) -> TargetValues:
    with read_tensors(path, FORMAT) as stored:
        if stored.about.get("made_from") != made_from:
            raise ProvenanceError(f"{path} holds target values of other edits; remove it and they are searched again")
        found = TargetValues(
            keys=stored.get("keys", dtype=torch.float64, shape=(count, d_key)),
            values=stored.get("values", dtype=torch.float64, shape=(count, d_value)),
            probabilities=stored.get("probabilities", dtype=torch.float64, shape=(count,)),
            steps=stored.get("steps", dtype=torch.int64, shape=(count,)),
        )
    if not ((found.probabilities >= 0) & (found.probabilities <= 1) & (found.steps >= 0)).all():
        raise ProvenanceError(
            f"{path} holds a probability outside 0 to 1 or steps below 0; remove it and they are searched again"
        )
    return found

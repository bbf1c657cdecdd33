"""A certified adapter on a tiny model, in folders, as `ks edit` leaves them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from adapters import lora, write_adapter
from measured import write_facts, write_text
from tiny_models import save_tiny_checkpoint

from ks_core.checked_files import read_json, write_json
from ks_core.data.corpus import load_corpus
from ks_core.data.facts import load_facts
from ks_core.measurement.behaviour import held_out_text
from ks_core.models.loading import load_model
from ks_core.patches.certificate import FILE, FORMAT, Inputs
from ks_core.patches.verification import certify

MADE = [{"layer": 0, "method": "joint", "ridge": 0.0, "search": {}, "second_moment": {"tokens": 400}}]


def certified(folder: Path, model_type: str = "llama") -> Path:
    """The base in `folder/base`, the patch in `folder/patch`, which is returned."""
    model = load_model(save_tiny_checkpoint(folder / "base", model_type))
    facts = load_facts(write_facts(folder / "facts.json")).facts
    corpus = load_corpus(str(write_text(folder / "text.txt", 80)))
    text = tuple(held_out_text(model, corpus, after=400, tokens=150, longest_text=30))
    patch = write_adapter(folder / "patch", model.model, lora(model_type), scale=1.0)
    edits = facts[::6]
    keep = tuple(fact for fact in facts if fact not in edits)
    inputs = Inputs(
        keep, tuple(np.asarray(row) for row in text), {"name": corpus.name, "sha256": corpus.sha256, "after": 400}
    )
    certify(patch, model, edits, inputs, MADE)
    return patch


def resealed(patch: Path, change: object) -> None:
    """Change a certificate's content and give it the checksum of what it then says, as a forger would."""
    content = read_json(patch / FILE, FORMAT)
    change(content)
    write_json(patch / FILE, FORMAT, content)

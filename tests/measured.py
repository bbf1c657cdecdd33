"""A tiny real model, text and facts on disk, as the measurement tests need them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tiny_models import save_tiny_checkpoint

from ks_core.models.loaded import LoadedModel

T = TypeVar("T")

# fmt: off
WORDS = ["Paris", "Lisbon", "Kyoto", "river", "stone", "quickly", "above", "seven", "green", "walks", "under", "music",
         "letters", "winter", "open", "small"]
# fmt: on


def write_text(path: Path, texts: int = 60) -> Path:
    """Paragraphs of different lengths; deterministic, no two alike."""
    path.write_text(
        "\n\n".join(" ".join(WORDS[(i * j + j) % len(WORDS)] for j in range(3 + i % 13)) for i in range(texts))
    )
    return path


PROMPTS = ["The city of {} lies in", "People in {} live in", "From {} they travelled across", "{} is a town of"]


OLD_AND_NEW = ("", "", "New ", "Old ")
"""Before the cities of each relation: two relations share their subjects, the others have their own."""


def write_facts(path: Path, count: int = 24) -> Path:
    """Facts about cities, four objects a relation, in the project's own schema."""
    cities = ["Paris", "Lyon", "Nice", "Lisbon", "Porto", "Faro", "Kyoto", "Osaka", "Nara", "Rome", "Milan", "Turin"]
    objects = ["France", "Portugal", "Japan", "Italy"]
    records = [
        {
            "case_id": i,
            "requested_rewrite": {
                "prompt": PROMPTS[i // len(cities)],
                "relation_id": f"P{i // len(cities)}",
                "subject": OLD_AND_NEW[i // len(cities)] + cities[i % len(cities)],
                "target_true": {"str": objects[i % len(cities) // 3]},
                "target_new": {"str": objects[(i % len(cities) // 3 + 1) % 4]},
            },
            "paraphrase_prompts": [f"Travellers to {cities[i % len(cities)]} speak of"],
            # One relation has none: scores over facts must do without.
            "neighborhood_prompts": [] if i < len(cities) else [f"{cities[i * j % len(cities)]} lies" for j in (5, 7)],
        }
        for i in range(count)
    ]
    content = {"schema": "ks_core/facts/1", "origin": "test", "licence": "MIT", "facts": records}
    path.write_text(json.dumps(content))
    return path


def write_everything(folder: Path, model_type: str, *, layers: int = 2) -> dict[str, str]:
    """Model, text and facts in one folder; their paths by the names of `Settings`."""
    return {
        "model": str(save_tiny_checkpoint(folder / "model", model_type, layers=layers)),
        "corpus": str(write_text(folder / "text.txt", 300)),
        "facts": str(write_facts(folder / "facts.json", 48)),
    }


def passes_of(model: LoadedModel, call: Callable[[], T]) -> tuple[T, int]:
    """What a call returns and how often it ran the model."""
    passes: list[int] = []
    hook = model.adapter.backbone.register_forward_pre_hook(lambda *_: passes.append(1))
    try:
        return call(), len(passes)
    finally:
        hook.remove()

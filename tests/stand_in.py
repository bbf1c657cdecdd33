"""Stand-ins for GPT2-small and CounterFact: a tiny model of the name and depth, and made-up facts with the ids."""

from __future__ import annotations

import json
from pathlib import Path

from measured import write_text
from tiny_models import save_tiny_checkpoint

from ks_core.data.published_numbers import known_case_ids, published_gpt2_small

SHAPE = ("gpt2", 12, 12)
"""Of the tiny model; GPT2-small's keys have 3072 entries."""

PROMPTS = ["{} lies in", "The old {} is", "I saw {} in", "Who made {} for"]


def write_counterfact(path: Path) -> Path:
    """Records with the 436 published ids and the published subjects, by id and among others; the rest is made up."""
    ids = known_case_ids()
    subjects = {case_id: f"Place {index * 7919 % 997}" for index, case_id in enumerate(ids)}
    subjects |= {ids[index]: subject for index, subject in published_gpt2_small().subjects.items()}
    subjects |= {other: f"Nowhere {other}" for other in range(21000, 21020)}
    records = [
        {
            "case_id": case_id,
            "requested_rewrite": {
                "prompt": PROMPTS[case_id % len(PROMPTS)],
                "relation_id": f"P{case_id % 5}",
                "subject": subject,
                "target_true": {"str": ["red", "blue"][case_id % 2]},
                "target_new": {"str": "green"},
            },
            "paraphrase_prompts": [],
            "neighborhood_prompts": [],
        }
        for case_id, subject in sorted(subjects.items())
    ]
    path.write_text(json.dumps(records))
    return path


def write_stand_ins(folder: Path) -> dict[str, str]:
    """Model, text and facts in one folder; their paths by the names of `Settings`."""
    return {
        "model": str(save_tiny_checkpoint(folder / "gpt2", "gpt2", layers=SHAPE[1])),
        "corpus": str(write_text(folder / "wikipedia.txt", 600)),
        "facts": str(write_counterfact(folder / "counterfact.json")),
    }


def pytest_configure() -> None:
    """As a plugin (`-p stand_in`): let the tiny model pass for GPT2-small, and its text for enough."""
    from ks_core.claims import gpt2_small
    from ks_core.experiments.request import selection

    selection.GPT2_SMALL_SHAPE = SHAPE
    gpt2_small.FEWEST_TOKENS = 1

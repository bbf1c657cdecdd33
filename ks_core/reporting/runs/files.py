"""A comparison of two runs as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ks_core.outputs import write_text
from ks_core.reporting.results import plain
from ks_core.reporting.runs.compare import Comparison

FORMAT = "ks_core/compare/1"


def as_json(found: Comparison) -> dict[str, Any]:
    """Everything in a comparison as plain JSON values; a change from zero, which is infinite, becomes null."""
    content: dict[str, Any] = plain({"format": FORMAT, **asdict(found)})
    return content


def write_comparison(found: Comparison, path: Path, complaints: list[str]) -> None:
    """Write a comparison, and what a gate does not let pass of it.

    Raises:
        InputError: the file cannot be written.
    """
    write_text(path, json.dumps(as_json(found) | {"complaints": complaints}, indent=1, allow_nan=False) + "\n")

"""Long streams by as many methods and settings as a real run has, planted, to look at how they are drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from planted_lifelong import FAR, NEAR, Planted, curve, forecast, plan, planted_lifelong

from ks_core.experiments.lifelong.measurement import Lifelong

SETTINGS: dict[str, list[str]] = {
    "sequential": [""],
    "joint": ["", "ridge 0.03", "ridge 0.3", "ridge 3"],
    "MEMIT": ["batches of 1", "batches of 10", "batches of 100", "batches of 100, ridge 0.3"],
    "EMMET": ["batches of 10", "batches of 100"],
    "AlphaEdit": ["L2 0.1", "L2 1", "L2 10", "L2 100"],
    "protected": [""],
    "spread": ["batches of 100"],
    "PRUNE": ["base 1.2"],
    "own part": ["16 directions out", "64 directions out", "256 directions out"],
    "mixed C": ["0.25 of subjects", "0.5 of subjects"],
    "search, sequential": ["stop at 0.5", "stop at 0.8"],
    "search, joint": ["stop at 0.5", "stop at 0.8", "norm bound 1", "ROME's"],
    "their_package.editors:theirs": [""],
}
"""By method, in the order in which a knob turns."""

DEFAULTS = {"MEMIT": 2, "AlphaEdit": 2, "own part": 2, "mixed C": 1}
"""Places of the defaults that are not the first."""


def wearing(kept: float, damage: float, edits: int) -> Planted:
    """What is kept at the end, and nats that the worst watched fact has lost then; damage grows as a random walk."""

    def planted(order: int, count: int) -> dict[str, Any]:
        passed = count / edits
        return {
            "kept": 0.95 * (kept / 0.95) ** (passed * (1 + 0.1 * order)),
            "change": -damage * passed**0.5 * np.linspace(0.0, 1.0, NEAR + FAR) ** 2,
            "rise": 0.3 * damage * passed,
            "growth": 1.5 * damage * passed**0.5,
        }

    return planted


def planted_frontier(edits: int = 216) -> Lifelong:
    """All of `SETTINGS`, at three lengths; searches have no default."""
    of, curves = plan(edits), []
    for place, (method, settings) in enumerate(SETTINGS.items()):
        for turned, setting in enumerate(settings):
            weaker = 0.75 ** abs(turned - DEFAULTS.get(method, 0))
            planted = wearing((0.2 + 0.05 * place) * weaker, (1.0 + 0.25 * place) * weaker, edits)
            default = not method.startswith("search") and turned == DEFAULTS.get(method, 0)
            counts = of.counts if method in ("sequential", "joint") else of.frontier
            curves.append(curve(of, method, planted, counts, setting, default))
    told = tuple(forecast(of, name, wearing(kept, 1.4, edits)) for name, kept in (("sequential", 0.15), ("joint", 0.3)))
    return replace(planted_lifelong(edits=edits), curves=tuple(curves), forecasts=told)

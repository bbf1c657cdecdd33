"""The commands that make a run and its page again, from what the run's settings differ in from the defaults."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ks_core import defaults
from ks_core.defaults import ALL_PARTS, PARTS
from ks_core.experiments.request.settings import Settings


def options_of(settings: Mapping[str, Any]) -> list[str]:
    """What was asked for besides the defaults, as arguments of `ks measure`.

    Example:
        >>> options_of({"model": "gpt2", "num_facts": 64, "families": (("a", "b"),), "own_models": "x", "seed": 0})
        ['gpt2', '--num-facts=64', '--family', 'a', 'b']
    """
    defaults = {field.name: field.default for field in fields(Settings)}
    options: list[str] = []
    families: list[str] = []
    for name, value in settings.items():
        if name == "own_models" or name not in defaults or value == defaults[name]:
            continue
        if name == "families":
            for family in value:
                families += ["--family", *map(str, family)]
        elif name == "model":
            options.insert(0, str(value))
        else:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            options.append(f"--{name.replace('_', '-')}={text}")
    return options + families


def parts_of(content: Mapping[str, Any]) -> tuple[str, ...]:
    """The parts that a run measured, in the order in which they are.

    Where no family of models was at hand, sizes measure nothing, and were asked for or not: then they count as in the
    default.

    Args:
        content: of its results.

    Example:
        >>> parts_of({"editing": {"dose": {"layers": [3]}}, "scaling": [], "settings": {"own_models": None}})
        ('pairs', 'dose', 'sizes')
    """
    measured = set(content["editing"] or {})  # of a dose of which nothing came there is the name alone
    settings = content["settings"]
    no_families = settings.get("families") is None and (
        settings.get("own_models") is None or settings.get("model", defaults.MODEL) != defaults.MODEL
    )
    sizes = bool(content["scaling"]) or no_families
    return tuple(part for part in ALL_PARTS if part == "pairs" or part in measured or (part == "sizes" and sizes))


def editors_of(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Anyone's editors that the streams of a run ran beside the four methods: import paths, each once.

    Example:
        >>> editors_of({"editing": {"stream": {"methods": {"joint": {}, "their.package:edit": {}}}}})
        ('their.package:edit',)
    """
    editing = content["editing"] or {}
    names = [*(editing.get("stream") or {}).get("methods", ())]
    names += [curve["method"] for curve in (editing.get("lifelong") or {}).get("curves", ())]
    return tuple(dict.fromkeys(name for name in names if ":" in name))


def commands_of(content: Mapping[str, Any], path: str) -> tuple[str, str]:
    """The command that measures again, and the one that makes the page of what was measured.

    Args:
        content: of the run's results.
        path: of its results.json.

    Example:
        >>> content = {"settings": {"model": "my model"}, "editing": {}, "scaling": []}
        >>> commands_of(content, "ks-results/my model/results.json")[0]
        "ks measure 'my model' --parts=pairs,sizes"
    """
    options, parts = options_of(content["settings"]), parts_of(content)
    options += [] if parts == PARTS else [f"--parts={','.join(parts)}"]
    options += [f"--editor={name}" for name in editors_of(content)]
    return shlex.join(["ks", "measure", *options]), shlex.join(["ks", "report", path])

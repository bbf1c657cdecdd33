"""The commands that make a run and its page again, from what the run's settings differ in from the defaults."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

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


def commands_of(settings: Mapping[str, Any], path: str) -> tuple[str, str]:
    """The command that measures again, and the one that makes the page of what was measured.

    Args:
        settings: of the run.
        path: of its results.json.

    Example:
        >>> commands_of({"model": "my model"}, "ks-results/my model/results.json")[0]
        "ks measure 'my model'"
    """
    options = options_of(settings)
    return shlex.join(["ks", "measure", *options]), shlex.join(["ks", "report", path])

"""Which families the scaling claim is measured on: those that were named, or the project's own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ks_core.errors import InputError
from ks_core.experiments.request.options import set_by
from ks_core.experiments.request.settings import Settings


def own_families(folder: Path) -> dict[str, list[str]]:
    """The trained models in a folder such as the repository's `fixtures/models`: family → folders, smallest first."""
    found: dict[str, list[tuple[int, str]]] = {}
    for record in sorted(folder.glob("ks-*/training.json")):
        content = json.loads(record.read_text(encoding="utf-8"))
        found.setdefault(content["family"], []).append((content["depth"], str(record.parent)))
    return {family: [folder for _, folder in sorted(members)] for family, members in found.items()}


def named_families(groups: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    """Families that a user listed, each named after its first and last member.

    Raises:
        InputError: a family of one model, a model twice, a folder without a model, or two families of one name.

    Example:
        >>> named_families([["openai-community/gpt2", "openai-community/gpt2-medium"]])
        {'gpt2…gpt2-medium': ['openai-community/gpt2', 'openai-community/gpt2-medium']}
    """
    found: dict[str, list[str]] = {}
    for group in groups:
        if len(set(group)) < max(2, len(group)):
            names = " ".join(group)
            raise InputError(f"a family is {names}; expected two or more different models {set_by('families')}")
        folders = [model for model in group if Path(model).is_dir() and not (Path(model) / "config.json").is_file()]
        if folders:
            raise InputError(
                f"a family has the folder {folders[0]}, which holds no model; expected models alone "
                f"{set_by('families')}, and the folders of tests before that option"
            )
        name = f"{Path(group[0]).name}…{Path(group[-1]).name}"
        if name in found:
            raise InputError(f"two families are called {name}; expected different first or last members")
        found[name] = list(group)
    return found


def families(settings: Settings) -> Mapping[str, Sequence[str]]:
    """The families to measure: those that were named, else the project's own where they are at hand, else none.

    They are measured beside the default model and facts only: other facts, or more of them, they may not know.
    """
    if settings.families:
        return named_families(settings.families)
    if settings.own_models is None:
        return {}
    default = Settings()
    own = (settings.model, settings.facts) == (default.model, default.facts) and settings.num_facts <= default.num_facts
    return own_families(Path(settings.own_models)) if own else {}

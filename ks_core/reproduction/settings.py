"""Everything a measurement is asked for, in one frozen value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ks_core.errors import InputError

SMALLEST = {
    "num_facts": 3,  # two facts have one pair, and no distribution
    "num_edits": 4,  # growth is looked at over half of them, and a power takes two points
    "resamples": 40,  # one sample lies beyond either end of a 95 % interval
    **dict.fromkeys(("tokens", "batch_tokens", "longest_text"), 1),
    **dict.fromkeys(("seed", "ridge"), 0),
}


@dataclass(frozen=True)
class Settings:
    """What to measure and how; the defaults are the run that the README shows."""

    model: str = "smollm2-135m-instruct"
    """name of a packaged model, a local directory or a hub id"""
    revision: str | None = None
    """branch, tag or commit of a hub model"""
    corpus: str = "wikipedia-introductions"
    """name of the packaged text, a file or folder, or `hub:dataset:config:split`"""
    facts: str | None = None
    """CounterFact JSON or a file in our schema; default the packaged facts"""
    families: tuple[tuple[str, ...], ...] | None = None
    """models of one family each, for the claim about size; default the project's own beside the default model"""
    num_facts: int = 128
    """known facts that are measured (paper: m = 128)"""
    num_edits: int = 32
    """usable facts that are edited one after another, the first ones; the rest is watched"""
    tokens: int = 131_072
    """tokens of text for the second moments"""
    layers: tuple[int, ...] | None = None
    """default all"""
    device: str = "cpu"
    dtype: str = "float32"
    """of the forward passes; the mathematics is float64"""
    ridge: float = 0.0
    """added to second moments before whitening, in mean eigenvalues; the paper has none"""
    longest_text: int = 1024
    """tokens after which a text is cut, or at the context length when that is shorter (paper: GPT-2's 1024)"""
    batch_tokens: int = 2048
    """rows × longest row of a forward pass over text; one longer text goes alone"""
    resamples: int = 400
    """bootstrap samples of the facts: an error is then known to 1 / sqrt(800) = 4 %, and ten samples lie beyond either
    end of a 95 % interval"""
    seed: int = 0
    """of the bootstrap, the null model and random subsets"""

    @property
    def model_name(self) -> str:
        """The last part of the model's name, under which results and baselines are kept; of `.` the folder's own."""
        path = Path(self.model)
        return (path.resolve() if path.exists() else path).name or "model"

    @property
    def model_origin(self) -> str:
        """Where the model is from, in full: the folder, or the name with its revision."""
        path = Path(self.model)
        return str(path.resolve()) if path.exists() else "@".join(filter(None, (self.model, self.revision)))

    def __post_init__(self) -> None:
        """Refuse numbers that no measurement could use, before anything is loaded."""
        for name, least in SMALLEST.items():
            value = getattr(self, name)
            if not least <= value < math.inf:
                raise InputError(f"{name} is {value}; expected at least {least} (--ks-{name.replace('_', '-')})")

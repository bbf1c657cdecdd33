"""Everything a measurement is asked for, in one frozen value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ks_core import arguments, defaults
from ks_core.errors import InputError
from ks_core.experiments.request.options import in_pytest


@dataclass(frozen=True)
class Settings:
    """What to measure and how; the defaults are the run that `docs/findings.md` shows.

    Attributes:
        model: name of a packaged model, a local directory or a hub id
        revision: branch, tag or commit of a hub model
        corpus: name of the packaged text, a file or folder, or `hub:dataset:config:split`
        facts: CounterFact JSON or a file in our schema; default the packaged facts
        families: models of one family each, for the claim about size; default `own_models` beside the default model
        own_models: folder of the project's own trained models, `fixtures/models` of its repository; a wheel has none
        num_facts: known facts that are measured (paper: m = 128)
        num_edits: usable facts that are edited one after another, the first ones; the rest are bystanders
        insertions: arbitrary edits of the stream that capacity is read off, in the model of the run
        tokens: tokens of text for the second moments
        layers: to measure; default all
        device: torch device of the forward passes
        dtype: of the forward passes; the mathematics is float64
        ridge: added to second moments before whitening, in mean eigenvalues; the paper has none
        longest_text: tokens after which a text is cut, or at the context length when that is shorter (paper: GPT-2's
            1024)
        batch_tokens: rows × longest row of a forward pass over text; one longer text goes alone
        resamples: bootstrap samples of the facts: an error is then known to 1 / sqrt(800) = 4 %, and ten samples lie
            beyond either end of a 95 % interval
        seed: of the bootstrap, the null model and random subsets

    Raises:
        InputError: a field of another type, or a number that no measurement could use; names the option.
    """

    model: str = defaults.MODEL
    revision: str | None = None
    corpus: str = defaults.CORPUS
    facts: str | None = None
    families: tuple[tuple[str, ...], ...] | None = None
    own_models: str | None = None
    num_facts: int = defaults.NUM_FACTS
    num_edits: int = defaults.NUM_EDITS
    insertions: int = defaults.INSERTIONS
    tokens: int = defaults.TOKENS
    layers: tuple[int, ...] | None = None
    device: str = defaults.DEVICE
    dtype: str = defaults.DTYPE
    ridge: float = 0.0
    longest_text: int = defaults.LONGEST_TEXT
    batch_tokens: int = defaults.BATCH_TOKENS
    resamples: int = defaults.RESAMPLES
    seed: int = 0

    @property
    def model_name(self) -> str:
        """The last part of the model's name, under which results and baselines are stored; of `.` the folder's own."""
        path = Path(self.model)
        return (path.resolve() if path.exists() else path).name or "model"

    @property
    def model_origin(self) -> str:
        """Where the model is from, in full: the folder, or the name with its revision."""
        path = Path(self.model)
        return str(path.resolve()) if path.exists() else "@".join(filter(None, (self.model, self.revision)))

    def __post_init__(self) -> None:
        """Refuse what no measurement could use, before anything is loaded; numbers of NumPy become Python's."""
        for name, check in CHECKS.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))


Check = Callable[[str, Any], Any]
"""Of a field's name and value; gives the value in its own type, or raises an InputError."""


def _option(name: str) -> str:
    return f" ({in_pytest(name)})"


def _or_none(check: Check, name: str, value: Any) -> Any:
    return None if value is None else check(name, value)


def _whole(least: int, most: int, name: str, value: Any) -> int:
    return arguments.whole_number(name, value, least, most, hint=_option(name))


def _ridge(name: str, value: Any) -> float:
    number = arguments.real_number(name, value, "a finite number of at least 0", hint=_option(name))
    if number < 0:
        raise InputError(f"{name} is {value}; expected at least 0{_option(name)}")
    return number


def _layers(name: str, value: Any) -> tuple[int, ...]:
    return arguments.distinct_numbers(name, value, "a collection of layer numbers, such as (0, 8)", _option(name))


def _families(name: str, value: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(
        tuple(
            arguments.word(f"{name}[{place}]", model)
            for model in arguments.texts(f"{name}[{place}]", family, "a collection of names of models")
        )
        for place, family in enumerate(arguments.items(name, value, "a collection of families of models"))
    )


MOST_RESAMPLES = 1_000_000
"""A million samples of 128 facts take a gigabyte; an error wants hundreds."""

CHECKS: dict[str, Check] = {
    **dict.fromkeys(("model", "corpus", "device", "dtype"), arguments.word),
    **dict.fromkeys(("revision", "facts", "own_models"), partial(_or_none, arguments.word)),
    "families": partial(_or_none, _families),
    "layers": partial(_or_none, _layers),
    "num_facts": partial(_whole, 3, arguments.LARGEST),  # two facts have one pair, and no distribution
    "num_edits": partial(_whole, 4, arguments.LARGEST),  # growth is looked at over half, and a power takes two points
    "insertions": partial(_whole, 2, arguments.LARGEST),  # one edit has no other to share directions with
    "resamples": partial(_whole, 40, MOST_RESAMPLES),  # one sample lies beyond either end of a 95 % interval
    **dict.fromkeys(("tokens", "batch_tokens", "longest_text"), partial(_whole, 1, arguments.LARGEST)),
    "seed": partial(_whole, 0, arguments.LARGEST),
    "ridge": _ridge,
}

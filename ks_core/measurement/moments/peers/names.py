"""How other editing projects name their statistics files.

{stats_dir}/{model}/{dataset}_stats/{module}_{precision}_mom2{suffix}.npz
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ks_core import arguments
from ks_core.errors import InputError
from ks_core.formatting import shown

BatchTokens = int | Literal["literal"] | None

LITERAL = "{batch_tokens}"
"""What most of them write where the number was meant: the text is no f-string."""

PRECISIONS = ("float16", "float32", "float64")


def _underscored(name: str) -> str:
    return name.replace("/", "_")


def _last_part(name: str) -> str:
    return name.rsplit("/", 1)[-1]


SPELLINGS: dict[str, Callable[[str], str]] = {
    "rome": _underscored,
    "memit": _underscored,
    "pmet": _underscored,
    "kis": _underscored,
    "alphaedit": _last_part,
    "easyedit": _last_part,
    "anyedit": _last_part,
}
"""Project → how it makes a folder's name of a model's. The first four differ in nothing else, nor do the last three."""

_NAME = re.compile(
    r"(?P<module>[A-Za-z0-9_.]+)_(?P<precision>float16|float32|float64)_(?:mean-)?mom2(?:-norm_mean)?"
    r"(?:_t(?P<batch>\d{1,18}|\{batch_tokens\}))?(?:_(?P<samples>\d{1,18}))?\.npz"
)


@dataclass(frozen=True)
class PeerName:
    """What the name of a file says.

    Attributes:
        module: path of the projection in the model, such as "transformer.h.17.mlp.c_proj"
        precision: in which products were taken; no promise of the dtype inside
        samples: articles that were asked for; None for all
        batch_tokens: where texts were cut, if not at the context length; "literal" where the name fails to say
    """

    module: str
    precision: str = "float32"
    samples: int | None = None
    batch_tokens: BatchTokens = None

    def __str__(self) -> str:
        number = LITERAL if self.batch_tokens == "literal" else self.batch_tokens
        cut = "" if number is None else f"_t{number}"
        return f"{self.module}_{self.precision}_mom2{cut}{'' if self.samples is None else f'_{self.samples}'}.npz"


def parsed(name: str) -> PeerName | None:
    """What a file's name says; None where it is none of theirs.

    Example:
        >>> parsed("transformer.h.17.mlp.c_proj_float32_mom2_t{batch_tokens}_100000.npz")
        PeerName(module='transformer.h.17.mlp.c_proj', precision='float32', samples=100000, batch_tokens='literal')
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    batch, samples = found["batch"], found["samples"]
    cut: BatchTokens = None if batch is None else "literal" if batch == LITERAL else int(batch)
    return PeerName(found["module"], found["precision"], None if samples is None else int(samples), cut)


def model_folder(name: str, layout: str) -> str:
    """The folder that a project keeps a model's statistics in.

    Args:
        name: of the model, as the project loads it.
        layout: a name in `SPELLINGS`.

    Raises:
        InputError: no such project, or a name that makes no folder.

    Example:
        >>> model_folder("EleutherAI/gpt-j-6B", "rome"), model_folder("EleutherAI/gpt-j-6B", "easyedit")
        ('EleutherAI_gpt-j-6B', 'gpt-j-6B')
    """
    if layout not in SPELLINGS:
        raise InputError(f"layout is {shown(layout)}; expected one of {', '.join(SPELLINGS)}")
    return plain_part("model_name", SPELLINGS[layout](arguments.word("model_name", name)))


def spellings(name: str) -> tuple[str, ...]:
    """Both spellings of a model's folder, once where they are the same; none where the name makes no folder."""
    found = dict.fromkeys(spell(name) for spell in SPELLINGS.values())
    return tuple(folder for folder in found if _is_part(folder))


def plain_part(name: str, part: str) -> str:
    """A name of one folder or file, which leads nowhere else.

    Raises:
        InputError: empty, a dot or two, or with a separator in it.
    """
    if not _is_part(part):
        raise InputError(
            f"{name} is {shown(part)} as the name of a folder; expected one without separators or dots alone"
        )
    return part


def _is_part(part: str) -> bool:
    return part.strip(". ") != "" and not set(part) & set("/\\\0")

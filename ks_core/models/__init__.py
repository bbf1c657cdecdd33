"""Models there are: the packaged ones, or what ks_core sees of those that are named, mostly from their config alone.

The only room that knows transformers: model families behind one adapter, tokenising, loading, packaged weights. It is
called too, as `ks models` is, because the room and the command have one name: `ks_core.models.listing` has what it
takes and gives.

Example:
    >>> import ks_core as ks
    >>> [model.name for model in ks.models()]
    ['toy', 'smollm2-135m-instruct']
    >>> (toy,) = ks.models("toy")
    >>> toy.family, toy.layers, toy.d_key, toy.edited
    ('llama', 2, 149, 'model.layers.{layer}.mlp.down_proj.weight')
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from ks_core.extras import require

require("models", "ks_core.models")

if TYPE_CHECKING:
    from ks_core.models.listing import ModelEntry


class _Room(ModuleType):
    def __call__(self, *names: str, revision: str | None = None) -> tuple[ModelEntry, ...]:
        from ks_core.models.listing import listed

        return listed(*names, revision=revision)


sys.modules[__name__].__class__ = _Room
models = sys.modules[__name__]
"""itself, which is where `ks.models` finds it"""

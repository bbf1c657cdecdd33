"""The two models of a comparison: both checkpoints, or a base and an adapter on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ks_core.comparing.tensors import Pair, in_memory, pairs_of
from ks_core.extras import require
from ks_core.models.dtypes import dtype_of
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import checked_device, load_model
from ks_core.models.parameters import StoredModel, stored_model
from ks_core.patches.loading import changed_model, is_adapter


@dataclass(frozen=True, eq=False)
class TwoCheckpoints:
    """Two checkpoints; their tensors are compared on disk, and one of them is in memory at a time.

    Attributes:
        options: of `load_model`: device and dtype
        revision: of the base, where it is on the hub
    """

    stored: StoredModel
    other: StoredModel
    revision: str | None
    options: dict[str, Any]

    @contextmanager
    def pairs(self) -> Iterator[list[Pair]]:
        """Every parameter of both."""
        yield pairs_of(self.stored, self.other)

    def base(self) -> LoadedModel:
        """The one, loaded."""
        return load_model(self.stored.name, revision=self.revision, **self.options)

    @contextmanager
    def edited(self) -> Iterator[LoadedModel]:
        """The other, loaded."""
        yield load_model(self.other.name, **self.options)

    @property
    def settings_differ(self) -> bool:
        """Whether config.json says other things of them."""
        return self.stored.settings_sha256 != self.other.settings_sha256

    @property
    def tokenizers_differ(self) -> bool:
        """Whether one text is other tokens to them."""
        return self.stored.tokenizer_sha256 != self.other.tokenizer_sha256


@dataclass(frozen=True, eq=False)
class BaseWithAdapter:
    """A base in memory, into which an adapter is merged where that is asked for; settings and tokenizer are its own."""

    stored: StoredModel
    model: LoadedModel
    folder: Path
    settings_differ: bool = False
    tokenizers_differ: bool = False

    @contextmanager
    def pairs(self) -> Iterator[list[Pair]]:
        """The parameters that the adapter can change."""
        with changed_model(self.model, self.folder) as changed:
            yield in_memory(changed.before, changed.after)

    def base(self) -> LoadedModel:
        """The base, as it is without the adapter."""
        return self.model

    @contextmanager
    def edited(self) -> Iterator[LoadedModel]:
        """The base with the adapter merged into it."""
        with changed_model(self.model, self.folder) as changed:
            yield changed.model


Sides = TwoCheckpoints | BaseWithAdapter


def sides_of(base: str, edited: str, *, revision: str | None, device: str | None, dtype: str | None) -> Sides:
    """Find the two.

    Args:
        base: packaged model, local folder or hub id.
        edited: the same, or a local folder with an adapter for the base.
        revision: of the base.
        device, dtype: as for `load_model`.

    Raises:
        InputError: what `load_model` or the adapter's loading refuses.
        MissingExtraError: `peft` is not installed, for an adapter.
    """
    if device is not None:
        checked_device(device)
    if dtype is not None:
        dtype_of(dtype)
    stored = stored_model(base, revision)
    options: dict[str, Any] = {"device": device, "dtype": dtype}
    if is_adapter(Path(edited)):
        require("edit", "an adapter")  # before the base is loaded
        return BaseWithAdapter(stored, load_model(base, revision=revision, **options), Path(edited))
    return TwoCheckpoints(stored, stored_model(edited), revision, options)

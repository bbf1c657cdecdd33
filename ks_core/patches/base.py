"""The model that edits were made for, as it can be found and recognised again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ks_core.errors import InputError
from ks_core.formatting import quoted
from ks_core.models.architectures import family_of
from ks_core.models.loaded import FINGERPRINTS, LoadedModel
from ks_core.models.packaged import is_packaged, packaged_folder
from ks_core.models.sources import is_folder_name


@dataclass(frozen=True)
class Base:
    """A model by name and content; nothing of it is in memory.

    Attributes:
        name: as `load_model` takes it, folders absolute
        revision: as `LoadedModel.revision`: the commit of a hub model, the pin of a packaged one
        model_type: of its config
        fingerprints: of weights, settings, tokenizer and dtype, as it was loaded
    """

    name: str
    revision: str | None
    model_type: str
    fingerprints: tuple[str, str, str, str]

    @classmethod
    def of(cls, model: LoadedModel) -> Base:
        """What a model says of itself; a second a gigabyte for the hash of its weights."""
        is_folder = not is_packaged(model.name) and is_folder_name(model.name)
        name = str(Path(model.name).absolute()) if is_folder else model.name
        return cls(name, model.revision, model.adapter.model_type, model.fingerprints)

    @property
    def location(self) -> str:
        """Where transformers finds it: a folder, or its id on the hub."""
        return str(packaged_folder(self.name)) if is_packaged(self.name) else self.name

    @property
    def commit(self) -> str | None:
        """The hub's, by which `load_model` and transformers find it again."""
        return None if is_packaged(self.name) else self.revision

    @property
    def dtype(self) -> str:
        """In which it was loaded when the edits were made."""
        return self.fingerprints[-1]

    @property
    def transposed(self) -> bool:
        """Whether projections are stored as (d_key, d_value)."""
        return family_of(self.model_type).transposed

    def projection(self, layer: int) -> str:
        """Path of a layer's projection inside the model, as in `model.named_modules()`."""
        return family_of(self.model_type).projection_of(layer)

    def require(self, model: LoadedModel) -> None:
        """Refuse another model, or this one in another dtype or changed since.

        Raises:
            InputError: names what differs.
        """
        self.require_fingerprints(model.fingerprints, model.name)

    def require_fingerprints(self, found: tuple[str, str, str, str], name: str) -> None:
        """`require`, of a model whose fingerprints are known."""
        pairs = zip(FINGERPRINTS, self.fingerprints, found, strict=True)
        other = [what for what, own, given in pairs if own != given]
        if other:
            raise InputError(
                f"the {' and '.join(other)} of {quoted(name)} are others than those of the base that the edits were "
                f"made for ({quoted(self.name)} in {self.dtype}); expected that very model: load it as it was, or make "
                "the edits anew for this one"
            )

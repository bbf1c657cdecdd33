"""A checkpoint's parameters by the names that the model has for them, without the model: read one at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ks_core.models.architectures import Family, family_of
from ks_core.models.checkpoint import StoredTensor, stored_tensors
from ks_core.models.fingerprint import config_sha256, tokenizer_sha256
from ks_core.models.placing import place
from ks_core.models.quiet import quiet_unless_terminal
from ks_core.models.settings import load_config
from ks_core.models.sources import source_of
from ks_core.models.tokenizers import load_tokenizer
from ks_core.models.weights import architecture_of


@dataclass(frozen=True, eq=False)
class StoredModel:
    """What is stored of a model; numbers are read when they are asked for.

    Attributes:
        name: as it was asked for
        layers: how many transformer blocks it has
        settings_sha256: of its config.json, but for what changes no number
        tokenizer_sha256: of its tokenizer
        parameters: stored tensors by the model's name; of parameters that are one, those that are stored
        tied: by name, the name of another that is the same parameter
    """

    name: str
    model_type: str
    layers: int
    settings_sha256: str
    tokenizer_sha256: str
    parameters: Mapping[str, StoredTensor]
    tied: Mapping[str, tuple[str, ...]]

    @property
    def family(self) -> Family:
        """Where its edited projections are."""
        return family_of(self.model_type)

    def find(self, parameter: str) -> StoredTensor | None:
        """A parameter, which may be stored by the name of one that is tied to it; None where there is none."""
        names = (parameter, *self.tied.get(parameter, ()))
        return next((self.parameters[name] for name in names if name in self.parameters), None)

    def layer_of(self, parameter: str) -> int | None:
        """The transformer block that a parameter is of; None for embeddings, the head and the last norm.

        Example:
            >>> StoredModel("m", "gpt2", 2, "", "", {}, {}).layer_of("transformer.h.1.mlp.c_proj.weight")
            1
        """
        family = self.family
        found = re.match(rf"{re.escape(family.backbone)}\.{re.escape(family.layers)}\.(\d+)\.", parameter)
        return int(found[1]) if found else None

    def is_projection(self, parameter: str) -> bool:
        """Whether it is the weight of a layer's edited projection."""
        layer = self.layer_of(parameter)
        return layer is not None and parameter == f"{self.family.projection_of(layer)}.weight"


def stored_model(name: str, revision: str | None = None) -> StoredModel:
    """Read a checkpoint's settings, tokenizer and the names of its tensors.

    Args:
        name: packaged model, local folder or hub id.
        revision: branch, tag or commit of a hub model.

    Raises:
        InputError: what `load_model` refuses before it reads numbers.
        AssetError: a packaged or hub model that cannot be fetched.
    """
    source = source_of(name, revision)
    with quiet_unless_terminal():
        config = load_config(source)
        tokenizer = load_tokenizer(source)
        architecture = architecture_of(source, config)
        stored = stored_tensors(source)
    placed = place(stored, architecture, source.place)
    by_identity: dict[int, list[str]] = {}
    for parameter, of in architecture.state_dict(keep_vars=True).items():
        by_identity.setdefault(id(of), []).append(parameter)
    return StoredModel(
        name=name,
        model_type=config.model_type,
        layers=config.num_hidden_layers,
        settings_sha256=config_sha256(config),
        tokenizer_sha256=tokenizer_sha256(tokenizer),
        parameters={parameter: stored[of] for parameter, of in placed.items()},
        tied={of: tuple(other for other in one if other != of) for one in by_identity.values() for of in one},
    )

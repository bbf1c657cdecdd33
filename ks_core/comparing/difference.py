"""Two models compared, as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ks_core.auditing.gate import Limits, over
from ks_core.comparing.tensors import TensorChange
from ks_core.comparing.values import LayerChange
from ks_core.data.fact import Fact
from ks_core.errors import InputError
from ks_core.formatting import shown
from ks_core.measurement.consequences import Consequences
from ks_core.measurement.readable import LeftOut


@dataclass(frozen=True, eq=False, repr=False)
class Diff:
    """What differs between a base and what someone made of it.

    Attributes:
        base: name of the one
        edited: name of the other
        model_type: of both
        num_layers: of both
        compared: how many tensors were compared; for an adapter, those that it can change
        changes: of the tensors that differ, most changed first by ‖ΔW‖ / ‖W‖
        ranks: by name of a changed matrix, its numerical rank, where it was computed
        settings_differ: whether the settings of the two differ (config.json, but for what changes no number)
        tokenizers_differ: whether their tokenizers do
        edits: facts whose `target_new` was to become true
        keep: facts that were to stay
        layers: of each changed projection, at edits and then facts to keep; empty where no facts and no text were given
        consequences: what the models say of facts and text; None where none were given
        left_out: facts that the models cannot be asked about
    """

    base: str
    edited: str
    model_type: str
    num_layers: int
    compared: int
    changes: tuple[TensorChange, ...]
    ranks: Mapping[str, int]
    settings_differ: bool
    tokenizers_differ: bool
    edits: tuple[Fact, ...] = ()
    keep: tuple[Fact, ...] = ()
    layers: tuple[LayerChange, ...] = ()
    consequences: Consequences | None = None
    left_out: tuple[LeftOut, ...] = ()

    def __repr__(self) -> str:
        return (
            f"Diff({shown(self.base)} -> {shown(self.edited)}, changed={len(self.changed)} of {self.compared} tensors, "
            f"facts={len(self.edits) + len(self.keep)})"
        )

    @property
    def changed(self) -> tuple[TensorChange, ...]:
        """Tensors that differ by more than having been stored in another dtype."""
        return tuple(of for of in self.changes if not of.only_rounded)

    def complaints(self, limits: Limits | None = None, only_layers: Sequence[int] | None = None) -> list[str]:
        """In a sentence each, the thresholds that are broken.

        Args:
            limits: what facts to keep may lose.
            only_layers: the layers that may differ; embeddings, the head, the last norm, settings and tokenizer are of
                none.

        Raises:
            InputError: losses are asked about, and there are no facts to keep; or a layer that does not exist.
        """
        limits = Limits() if limits is None else limits
        if outside := [layer for layer in only_layers or () if not 0 <= layer < self.num_layers]:
            raise InputError(f"layer {outside[0]} does not exist; expected 0 to {self.num_layers - 1}")
        said: list[str] = []
        if limits != Limits():
            if self.consequences is None or not self.keep:
                raise InputError("no facts to keep were given to hold losses against; expected some: --keep")
            kept = self.consequences.kept
            losses, overtaken = np.array([of.loss for of in kept]), np.array([bool(of.overtaken_by) for of in kept])
            said += over(limits, [of.fact for of in kept], losses, overtaken)
        if only_layers is not None and (self.settings_differ or self.tokenizers_differ):
            differing = {"settings (config.json)": self.settings_differ, "tokenizers": self.tokenizers_differ}
            what = " and ".join(name for name, differ in differing.items() if differ)
            said.append(f"the {what} of the two differ, which are of no layer")
        others = [] if only_layers is None else [of for of in self.changed if of.layer not in only_layers]
        if others:
            said.append(
                f"{len(others)} tensors outside layers {', '.join(map(str, only_layers or ()))} differ, the most "
                f"changed is {others[0].name}"
            )
        return said

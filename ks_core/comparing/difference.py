"""Two models compared, as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ks_core.arguments import real_number
from ks_core.comparing.tensors import TensorChange
from ks_core.comparing.values import LayerChange
from ks_core.data.fact import Fact
from ks_core.errors import InputError
from ks_core.formatting import quoted, shown
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

    def complaints(
        self,
        *,
        fail_over: float | None = None,
        fail_overtaken: int | None = None,
        only_layers: Sequence[int] | None = None,
    ) -> list[str]:
        """In a sentence each, the thresholds that are broken.

        Args:
            fail_over: greatest loss of a fact to keep that is allowed, in nats a token.
            fail_overtaken: how many facts to keep may be overtaken by another object.
            only_layers: the layers that may differ; embeddings, the head and the last norm are of none.

        Raises:
            InputError: losses are asked about, and there are no facts to keep; a layer that does not exist; a
                threshold that is no number.
        """
        said = []
        if fail_over is not None:
            real_number("fail_over", fail_over)
        if outside := [layer for layer in only_layers or () if not 0 <= layer < self.num_layers]:
            raise InputError(f"layer {outside[0]} does not exist; expected 0 to {self.num_layers - 1}")
        if (fail_over, fail_overtaken) != (None, None) and (self.consequences is None or not self.keep):
            raise InputError("no facts to keep were given to hold losses against; expected some: name them (--keep)")
        found = self.consequences
        if found is not None and fail_over is not None and found.worst > fail_over:
            above = [of for of in found.kept if of.loss > fail_over]
            said.append(
                f"{len(above)} of {len(found.kept)} facts to keep lost more than {fail_over:g} nats a token, most of "
                f"all {quoted(above[0].fact.subject)} with {found.worst:.2f}"
            )
        if found is not None and fail_overtaken is not None and len(found.overtaken) > fail_overtaken:
            said.append(
                f"{len(found.overtaken)} facts to keep are overtaken by another object, {fail_overtaken} are allowed; "
                f"the first is {quoted(found.overtaken[0].fact.subject)}"
            )
        if only_layers is not None:
            others = [of for of in self.changed if of.layer not in only_layers]
            if others:
                said.append(
                    f"{len(others)} tensors outside layers {', '.join(map(str, only_layers))} differ, the most "
                    f"changed is {others[0].name}"
                )
        return said

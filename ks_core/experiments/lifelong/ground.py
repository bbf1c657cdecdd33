"""What methods write with: keys, values and second moments of a stream's edits, in the file's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ks_core.data.fact import Fact
from ks_core.experiments.lifelong.plan import LifelongPlan
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.values import TargetValues
from ks_core.measurement.whitening import TextWhitening
from ks_core.models.loaded import LoadedModel
from ks_core.theory.editing import EditTerms, edit_terms
from ks_core.theory.key_spaces import KeySpace
from ks_core.theory.whitening import Whitening

BANK = 4
"""Of d_key directions of key space, one in so many subjects are protected by the method that protects, and fewer are
taken out where edits write along their own part: three quarters stay to write in."""

SUBJECTS_AT_ONCE = 128
"""Of the many subjects, whose keys are read by length."""


@dataclass(frozen=True, eq=False)
class Ground:
    """Of one layer and N edits; nothing in it changes.

    Attributes:
        weight: W_0, (d_value, d_key), on the CPU
        whitening: over all of the text
        second_moment: C without a ridge, (d_key, d_key)
        levels: values by the probability that the search stopped at, rising; the last are what methods write
        subjects: (s, d_key), keys of many other subjects
        spread: layers over which edits are spread, up to the plan's
    """

    model: LoadedModel
    plan: LifelongPlan
    text: TextWhitening
    weight: Tensor
    whitening: Whitening
    second_moment: Tensor
    levels: Mapping[float, TargetValues]
    subjects: Tensor
    spread: tuple[int, ...]

    @property
    def values(self) -> TargetValues:
        """What methods write, where they do not say otherwise."""
        return self.levels[max(self.levels)]

    @property
    def protected(self) -> Tensor:
        """(p, d_key), keys of subjects that are protected: none of them is edited or watched."""
        return self.subjects[: self.weight.shape[1] // BANK]

    def terms(self, space: KeySpace) -> EditTerms:
        """What the closed forms need of the edits in a space."""
        return edit_terms(self.weight, self.values.keys, self.values.values, space)

    def growth(self, deltas: Mapping[int, Tensor]) -> float:
        """‖ΔW‖ / ‖W‖, Frobenius, over the changed layers together."""
        weights = {layer: self.model.adapter.weight(layer).to("cpu", torch.float64) for layer in deltas}
        changes = sum(float(delta.square().sum()) for delta in deltas.values())
        return float((changes / sum(float(weight.square().sum()) for weight in weights.values())) ** 0.5)

    def length(self, deltas: Mapping[int, Tensor]) -> float:
        """‖ΔW C^½‖ over the changed layers together, in quadrature."""
        whitenings = {layer: self.whitening if layer == self.plan.layer else self.text.whole(layer) for layer in deltas}
        return float(sum(whitenings[layer].length(delta) ** 2 for layer, delta in deltas.items()) ** 0.5)


def subject_bank(model: LoadedModel, facts: Sequence[Fact], layer: int) -> Tensor:
    """Keys of many subjects in a layer, (s, d_key) float64: prompts are read up to the subject only, by their length.

    A key does not know what comes after it, and one long prompt would pad all others.
    """
    cut = [replace(fact, prompt=fact.prompt[: fact.prompt.index("{}")] + "{}") for fact in facts]
    by_length = sorted(range(len(cut)), key=lambda place: len(cut[place].text))
    parts = [by_length[start : start + SUBJECTS_AT_ONCE] for start in range(0, len(cut), SUBJECTS_AT_ONCE)]
    keys = torch.cat([subject_keys(model, [cut[place] for place in part], [layer])[layer] for part in parts])
    return keys[torch.tensor(by_length).argsort()]

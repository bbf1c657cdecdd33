"""The whitening of any layer over any part of the text: the one place where second moments are factored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from ks_core import arguments, defaults
from ks_core.data.corpus import load_corpus
from ks_core.measurement.moments.accumulator import SecondMoment
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.measurement.moments.second_moments import SecondMoments
from ks_core.models.loaded import LoadedModel
from ks_core.theory.whitening import Whitening, check_ridge, whiten_symmetric


@dataclass(frozen=True)
class TextWhitening:
    """Second moments with the ridge that they are whitened with; a layer is read and factored when it is asked for.

    Every method raises a RankDeficientError that names the layer and the part of the text.

    Attributes:
        ridge: see `whiten`
    """

    moments: SecondMoments
    ridge: float = 0.0

    def __post_init__(self) -> None:
        check_ridge(self.ridge)

    @property
    def layers(self) -> tuple[int, ...]:
        """The measured layers."""
        return self.moments.layers

    def whole(self, layer: int) -> Whitening:
        """Of a layer over all of the text."""
        return self._whiten(layer, "the text", self.moments.at(layer))

    def halves(self, layer: int) -> tuple[Whitening, Whitening]:
        """Of a layer over the first and over the second half of the text."""
        first, second = (
            self._whiten(layer, f"the {which} half of the text", half)
            for which, half in zip(("first", "second"), self.moments.halves(layer), strict=True)
        )
        return first, second

    def parts(self, layer: int) -> Iterator[Whitening]:
        """Of a layer over all of the text, then over its halves; each factored when it is asked for, not kept."""
        names = ("the text", "the first half of the text", "the second half of the text")
        # no generator: its variable would keep a second moment for as long as the next is made
        return map(partial(self._whiten, layer), names, self.moments.parts(layer))

    def first(self, layer: int, count: int) -> Whitening:
        """Of a layer over the first `count` tokens, one of `moments.counts`."""
        return self._whiten(layer, f"the first {count:,} tokens", self.moments.at(layer, count))

    def second_moment(self, layer: int) -> Tensor:
        """The second moment itself over all of the text, without a ridge, (d_key, d_key) float64."""
        return self.moments.at(layer).matrix

    def _whiten(self, layer: int, part: str, moment: SecondMoment) -> Whitening:
        name = f"the second moment of layer {layer} over {part}"
        return whiten_symmetric(moment.matrix, ridge=self.ridge, count=moment.count, name=name)


def text_of(model: LoadedModel, layer: int, moments: SecondMoments | None, ridge: float) -> TextWhitening:
    """The whitening of a model's keys; `moments` that are not of this model and layer are refused.

    Without `moments`, they are those of the packaged text.

    Raises:
        InputError: a layer that was not measured, what is no second moments, or no ridge.
        ProvenanceError: of another model.
    """
    check_ridge(ridge)
    if moments is None:
        return TextWhitening(collect_second_moments(model, load_corpus(), tokens=defaults.TOKENS), ridge)
    given = arguments.instance("moments", moments, SecondMoments, "as second_moments(model) gives them")
    given.require_model(model)
    given.layer_number(layer)  # raises where it was not measured
    return TextWhitening(given, ridge)

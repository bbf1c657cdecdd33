"""The whitening of any layer over any part of the text: the one place where second moments are factored."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ks_core.measurement.accumulator import SecondMoment
from ks_core.measurement.second_moments import SecondMoments
from ks_core.theory.whitening import Whitening, check_ridge, whiten


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
        return self._whiten(self.moments.at(layer), layer, "the text")

    def halves(self, layer: int) -> tuple[Whitening, Whitening]:
        """Of a layer over the first and over the second half of the text."""
        first, second = (
            self._whiten(half, layer, f"the {which} half of the text")
            for which, half in zip(("first", "second"), self.moments.halves(layer), strict=True)
        )
        return first, second

    def first(self, layer: int, count: int) -> Whitening:
        """Of a layer over the first `count` tokens, one of `moments.counts`."""
        return self._whiten(self.moments.at(layer, count), layer, f"the first {count:,} tokens")

    def second_moment(self, layer: int) -> Tensor:
        """The second moment itself over all of the text, without a ridge, (d_key, d_key) float64."""
        return self.moments.at(layer).matrix

    def _whiten(self, moment: SecondMoment, layer: int, part: str) -> Whitening:
        name = f"the second moment of layer {layer} over {part}"
        return whiten(moment.matrix, ridge=self.ridge, count=moment.count, name=name)

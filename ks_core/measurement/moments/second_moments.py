"""Second moments of layers over growing amounts of text, read from disk one layer at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ks_core import arguments, defaults
from ks_core.data.corpus import Corpus
from ks_core.errors import InputError, ProvenanceError
from ks_core.files import cache_dir, is_stored
from ks_core.formatting import shown
from ks_core.measurement.moments.accumulator import SecondMoment, moment_of
from ks_core.measurement.moments.provenance import MomentProvenance
from ks_core.measurement.moments.store import load_moment, load_sum, load_texts, sum_path
from ks_core.models.loaded import FINGERPRINTS, LoadedModel

PARTS = 8
STORED_AFTER = (1, 2, 4, 8)
"""Of `PARTS` equal parts, those after which sums stay: 1/8, 1/4, 1/2 and all of the text, to see how a number moves as
the text doubles."""

LONGEST_NAME = 100
"""Bytes of a model's name in that of its folder: a file system's names have 255."""


@dataclass(frozen=True)
class SecondMoments:
    """Second moments of some layers after growing amounts of text.

    Attributes:
        folder: of the files, one for each layer and amount, which other layers and amounts may share
        provenance: what they were made from
        layers: the measured ones
    """

    folder: Path
    provenance: MomentProvenance
    layers: tuple[int, ...]

    @property
    def counts(self) -> tuple[int, ...]:
        """Token counts at which the moments are known, increasing; the last is all of the text."""
        return tuple(self.provenance.tokens * parts // PARTS for parts in STORED_AFTER)

    @property
    def texts(self) -> int:
        """How many texts the tokens are of, the last one in part perhaps; errors as for `at`."""
        layer, count = self.layers[0], self.provenance.tokens
        return load_texts(self.file(layer, count), layer, count, self.provenance)

    def missing(self, layer: int) -> tuple[int, ...]:
        """Those of `counts` that are not on disk."""
        return tuple(count for count in self.counts if not is_stored(self.file(layer, count)))

    @property
    def complete(self) -> bool:
        """Whether all of it is on disk."""
        gaps = [self.missing(layer) for layer in self.layers]  # each: one may be there and unreadable
        return not any(gaps)

    def file(self, layer: int, count: int) -> Path:
        """Where the sum of a layer over the first `count` tokens is, or will be."""
        return sum_path(self.folder, layer, count)

    @property
    def has_halves(self) -> bool:
        """Whether `halves` are known, and with them an error over text."""
        return True

    def require_model(self, model: LoadedModel) -> None:
        """Refuse a model that these are not of.

        Raises:
            ProvenanceError: its weights, settings, tokenizer or dtype are others; names them.
        """
        made_from = self.provenance.fingerprints
        pairs = zip(FINGERPRINTS, made_from, model.fingerprints, strict=True)
        other = [name for name, then, now in pairs if then != now]
        if other:
            raise ProvenanceError(
                f"the second moments are those of {shown(self.provenance.model)}, and the {' and '.join(other)} of "
                f"{shown(model.name)} are others; expected those of this model: collect them from it"
            )

    def layer_number(self, layer: int) -> int:
        """A layer that was measured, as Python's integer.

        Raises:
            InputError: it was not measured, or is no whole number.
        """
        number = arguments.whole_number("layer", layer)
        if number not in self.layers:
            raise InputError(
                f"the second moments are of layers {shown(self.layers)}, without layer {shown(number)}; expected them "
                "of that layer: second_moments(model) has all layers"
            )
        return number

    def at(self, layer: int, count: int | None = None) -> SecondMoment:
        """The second moment of a layer over the first `count` tokens, one of `counts` (default: all).

        Raises:
            InputError: a layer or count that was not measured.
            ProvenanceError: the file is gone or damaged.
        """
        layer = self.layer_number(layer)
        count = self.provenance.tokens if count is None else arguments.whole_number("count", count)
        if count not in self.counts:
            raise InputError(f"count is {shown(count)}; expected one of {shown(self.counts)}, in tokens")
        return load_moment(self.file(layer, count), layer, count, self.provenance)

    def halves(self, layer: int) -> tuple[SecondMoment, SecondMoment]:
        """The second moments of a layer over the first and over the second half of the text; errors as for `at`."""
        _, first, second = self.parts(layer)
        return first, second

    def parts(self, layer: int) -> Iterator[SecondMoment]:
        """The second moments of a layer over all of the text, over its first half and over its second.

        Each file is read once. One matrix is in memory, beside two packed sums at most, if whoever reads lets go of one
        before asking for the next. Errors as for `at`.
        """
        layer = self.layer_number(layer)
        half, whole = self.counts[-2:]
        total = load_sum(self.file(layer, whole), layer, whole, self.provenance)
        yield moment_of(total, whole)
        first = load_sum(self.file(layer, half), layer, half, self.provenance)
        total -= first
        moment = moment_of(first, half)
        del first
        yield moment
        del moment
        yield moment_of(total, whole - half)


def moment_provenance(
    model: LoadedModel, corpus: Corpus, tokens: int, longest_text: int | None = defaults.LONGEST_TEXT
) -> MomentProvenance:
    """What the second moments of this model over the first `tokens` tokens of this corpus depend on."""
    context = model.context_length
    return MomentProvenance(
        model=model.name,
        weights_sha256=model.weights_sha256,
        config_sha256=model.config_sha256,
        tokenizer_sha256=model.tokenizer_sha256,
        dtype=model.dtype,
        corpus=corpus.name,
        corpus_sha256=corpus.sha256,
        tokens=tokens,
        longest_text=context if longest_text is None else min(longest_text, context),
    )


def moments_folder(provenance: MomentProvenance) -> Path:
    """Where the cache keeps the second moments of this provenance, over any number of its tokens."""
    name = Path(provenance.model).name.encode()[:LONGEST_NAME].decode(errors="ignore")  # the digest tells them apart
    return cache_dir() / "moments" / f"{name}-{replace(provenance, tokens=0).digest()}"


def layers_of(model: LoadedModel, layers: Sequence[int] | None) -> tuple[int, ...]:
    """The given layers, or all that there are.

    Raises:
        InputError: one does not exist, or is named twice.
    """
    if layers is None:
        return tuple(range(model.adapter.num_layers))
    given = arguments.distinct_numbers("layers", layers, "a collection of layer numbers, such as (0, 8)")
    return tuple(model.adapter.layer_number(layer) for layer in given)

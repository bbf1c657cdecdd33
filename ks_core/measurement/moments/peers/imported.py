"""Second moments that another project collected, used in the place of our own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ks_core import arguments
from ks_core.errors import InputError, NotStoredError, ProvenanceError
from ks_core.formatting import shown, shown_path
from ks_core.measurement.moments.accumulator import SecondMoment
from ks_core.measurement.moments.peers.files import read_sums
from ks_core.measurement.moments.peers.found import Paths, found_files
from ks_core.measurement.moments.peers.stated import (
    ImportedProvenance,
    Stated,
    imported_provenance,
    provenance_from,
    sum_of,
)
from ks_core.measurement.moments.second_moments import SecondMoments, moments_folder
from ks_core.models.loaded import LoadedModel


@dataclass(frozen=True)
class ImportedMoments(SecondMoments):
    """Second moments of files of another project; read from disk one layer at a time, and checked each time.

    There are no halves of the text, so nothing that is made with them has an error over text.

    Attributes:
        d_key: width of the keys
        files: by layer; none where they come from a patch, which records that they were used and not what they are
    """

    provenance: ImportedProvenance
    d_key: int = 0
    files: Mapping[int, Path] = field(default_factory=dict)

    @property
    def counts(self) -> tuple[int, ...]:
        """All of the text; no part of it is known."""
        return (self.provenance.tokens,)

    @property
    def texts(self) -> int:
        """Articles, as the files say.

        Raises:
            InputError: they do not.
        """
        if self.provenance.samples is None:
            raise InputError(
                "how many texts the imported second moments are of is not known: their files have no sample_size, or "
                "not the same; expected a number of your own: pass it, as samples or --samples"
            )
        return self.provenance.samples

    def missing(self, layer: int) -> tuple[int, ...]:
        """All of the text, where the layer's file is not at hand."""
        return () if layer in self.files else self.counts

    def file(self, layer: int, count: int) -> Path:
        """The file that the layer was imported from, whose text has no parts.

        Raises:
            InputError: a part of the text.
            NotStoredError: it is not at hand.
        """
        if count != self.provenance.tokens:
            raise InputError(
                f"count is {shown(count)}; expected {self.provenance.tokens}: an imported sum has no parts"
            )
        if layer not in self.files:
            raise NotStoredError(
                "the second moments were imported from files that are not recorded; expected them: import them again "
                "(import_moments), and pass them as moments"
            )
        return self.files[layer]

    @property
    def has_halves(self) -> bool:
        """None: a file holds one sum."""
        return False

    def at(self, layer: int, count: int | None = None) -> SecondMoment:
        """The second moment of a layer over all of the text.

        Raises:
            InputError: a layer that was not imported, or a part of the text.
            NotStoredError: the files are not at hand.
            ProvenanceError: the file is another than the one that was imported.
        """
        layer = self.layer_number(layer)
        count = self.provenance.tokens if count is None else arguments.whole_number("count", count)
        path = self.file(layer, count)
        found = read_sums(path, self.d_key, layer)
        if found.sha256 != sum_of(self.provenance, layer):
            raise ProvenanceError(
                f"{shown_path(path)} has changed since it was imported; expected what it was: import it again"
            )
        return found.moment

    def parts(self, layer: int) -> Iterator[SecondMoment]:
        """Refused: a file holds one sum over all of its text.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"the second moment of layer {self.layer_number(layer)} was imported, and a file holds no halves of its "
            "text; expected moments that were collected here, where an error over text is needed: second_moments(model)"
        )


def import_moments(
    files: Paths,
    model: LoadedModel,
    *,
    text: str | None = None,
    longest_text: int | None = None,
    revision: str | None = None,
    dtype: str | None = None,
    layers: Sequence[int] | None = None,
    model_name: str | None = None,
    dataset: str = "wikipedia",
) -> ImportedMoments:
    """Take second moments from statistics files of ROME, MEMIT, PMET, AlphaEdit, EasyEdit and others like them.

    Every file is read once and checked, one at a time, and again when its layer is asked for.

    Args:
        files: as `found_files` takes them.
        model: that they are of; what stands in the files is its width and its modules' names, and no more.
        text, longest_text, revision, dtype: what no file says; recorded as stated by you and not checked, and as not
            known where left out.
        layers: which of them; all that are there when left out.
        model_name: as the other project loads the model; its own name when left out.
        dataset: the project's name of the text, before "_stats".

    Raises:
        InputError: nothing there, or a file that is not such a sum of this model's layer; names it and what is wrong.
        RankDeficientError: a sum over fewer tokens than the keys are wide.
    """
    stated = Stated(text, longest_text, revision, dtype)
    there = found_files(files, model, model_name=model_name, dataset=dataset)
    wanted = _wanted(model, layers, there)
    tokens: dict[int, int] = {}
    samples: dict[int, int | None] = {}
    sums: dict[int, str] = {}
    for layer in wanted:
        path, name = there[layer]
        found = read_sums(path, model.adapter.d_key, layer)
        if name.samples is not None and found.samples not in (None, name.samples):
            raise InputError(
                f"{shown_path(path)} holds sample_size {found.samples}, and its name says {name.samples}; expected the "
                "same: one of them is of another file"
            )
        tokens[layer], samples[layer], sums[layer] = found.moment.count, found.samples, found.sha256
    _require_one_text(tokens)
    common = next(iter(samples.values())) if len(set(samples.values())) == 1 else None
    provenance = imported_provenance(model, tokens[wanted[0]], common, stated, sums)
    paths = {layer: there[layer][0].absolute() for layer in wanted}
    return ImportedMoments(paths[wanted[0]].parent, provenance, wanted, model.adapter.d_key, paths)


def stored_moments(record: Mapping[str, Any], layers: Sequence[int]) -> SecondMoments:
    """Second moments of which a patch holds the provenance: those of the cache, or imported ones without their files.

    Raises:
        KeyError, TypeError, ValueError: no record of a provenance.
    """
    provenance = provenance_from(record)
    if isinstance(provenance, ImportedProvenance):
        return ImportedMoments(Path(), provenance, tuple(layers))
    return SecondMoments(moments_folder(provenance), provenance, tuple(layers))


def _wanted(model: LoadedModel, layers: Sequence[int] | None, there: Iterable[int]) -> tuple[int, ...]:
    if layers is None:
        return tuple(there)
    given = arguments.distinct_numbers("layers", layers, "a collection of layer numbers, such as (0, 8)")
    asked = tuple(model.adapter.layer_number(layer) for layer in given)
    missing = [layer for layer in asked if layer not in set(there)]
    if missing or not asked:
        raise InputError(
            f"layers is {shown(layers)}, and there are files of layers {shown(tuple(there))}; expected some of those"
        )
    return asked


def _require_one_text(tokens: Mapping[int, int]) -> None:
    """Refuse layers that were summed over different amounts of text: they are not of one text."""
    first = next(iter(tokens))
    for layer, count in tokens.items():
        if count != tokens[first]:
            raise InputError(
                f"layer {first} was summed over {tokens[first]:,} tokens and layer {layer} over {count:,}; expected "
                "the same text for all layers: import them one by one, with layers="
            )

"""Where second moments of a file come from: what its user states, and what was seen of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ks_core import arguments
from ks_core.files import short_hash
from ks_core.measurement.moments.provenance import MomentProvenance
from ks_core.models.loaded import LoadedModel

NOT_KNOWN = "not known"

RECORDED = "stated_not_checked"
"""Key of a stored record, by which it is told from one of second moments that were collected here."""


@dataclass(frozen=True)
class Stated:
    """What a statistics file cannot say of itself. None of it is checked; None is not stated.

    Attributes:
        text: that it was collected over
        longest_text: tokens after which a text was cut
        revision: of the model
        dtype: of the forward passes
    """

    text: str | None = None
    longest_text: int | None = None
    revision: str | None = None
    dtype: str | None = None

    def __post_init__(self) -> None:
        for name in ("text", "revision", "dtype"):
            if getattr(self, name) is not None:
                arguments.word(name, getattr(self, name))
        if self.longest_text is not None:
            arguments.whole_number("longest_text", self.longest_text, 1)

    def __str__(self) -> str:
        """In words, for a line of a table."""
        said = {
            "text": self.text,
            "texts cut after": None if self.longest_text is None else f"{self.longest_text:,} tokens",
            "revision": self.revision,
            "dtype": self.dtype,
        }
        return ", ".join(f"{name} {NOT_KNOWN if value is None else value}" for name, value in said.items())


@dataclass(frozen=True)
class ImportedProvenance(MomentProvenance):
    """The provenance of imported second moments.

    The fingerprints are those of the model that they were imported for: that they are this model's is stated too. What
    stands in the fields of a text is `NOT_KNOWN`, and `longest_text` 0, where the file and its user say nothing.

    Attributes:
        stated: by the user, not checked
        samples: articles, as the files say; None where they do not
        sums: layer and SHA-256 of its sum and count
    """

    stated: Stated
    samples: int | None
    sums: tuple[tuple[int, str], ...]

    @property
    def text_known(self) -> bool:
        """Never: no file says which text it was made from."""
        return False

    def digest(self) -> str:
        """A short name for all that is the same for every layer: the model, the counts and what was stated."""
        made_from = [*self.fingerprints, self.tokens, self.samples, asdict(self.stated)]
        return short_hash(json.dumps(["imported", *made_from], sort_keys=True))

    def record(self) -> dict[str, Any]:
        """As it is stored: what was not stated as null, never as a number."""
        return {
            **{name: getattr(self, name) for name in _OF_MODEL},
            "tokens": self.tokens,
            "samples": self.samples,
            RECORDED: asdict(self.stated),
            "sums_sha256": {str(layer): digest for layer, digest in self.sums},
        }


def imported_record(provenance: MomentProvenance) -> dict[str, Any] | None:
    """What is stored of imported second moments; None of those that were collected here."""
    return provenance.record() if isinstance(provenance, ImportedProvenance) else None


def sum_of(provenance: MomentProvenance, layer: int) -> str | None:
    """SHA-256 of an imported layer's sum and count; None for second moments of a known text, which need none."""
    return dict(provenance.sums).get(layer) if isinstance(provenance, ImportedProvenance) else None


_OF_MODEL = ("model", "weights_sha256", "config_sha256", "tokenizer_sha256", "dtype")


def imported_provenance(
    model: LoadedModel, tokens: int, samples: int | None, stated: Stated, sums: Mapping[int, str]
) -> ImportedProvenance:
    """The provenance of sums that were imported for a model as it is now."""
    names = ("weights_sha256", "config_sha256", "tokenizer_sha256", "dtype")
    of_model = {"model": model.name, **dict(zip(names, model.fingerprints, strict=True))}
    return _provenance(of_model, tokens, samples, stated, sums)


def provenance_from(record: Mapping[str, Any]) -> MomentProvenance:
    """What `record` of a provenance gave, of collected second moments or of imported ones.

    Raises:
        KeyError, TypeError, ValueError: a field is missing or is another.
    """
    if RECORDED not in record:
        return MomentProvenance(**{name: value for name, value in record.items() if name != "layers"})  # older patches
    sums = {int(layer): str(digest) for layer, digest in record["sums_sha256"].items()}
    stated = Stated(**record[RECORDED])
    return _provenance({name: record[name] for name in _OF_MODEL}, record["tokens"], record["samples"], stated, sums)


def _provenance(
    of_model: Mapping[str, str], tokens: int, samples: int | None, stated: Stated, sums: Mapping[int, str]
) -> ImportedProvenance:
    return ImportedProvenance(
        **of_model,
        corpus=NOT_KNOWN if stated.text is None else stated.text,
        corpus_sha256=NOT_KNOWN,
        tokens=tokens,
        longest_text=stated.longest_text or 0,
        stated=stated,
        samples=samples,
        sums=tuple(sums.items()),
    )

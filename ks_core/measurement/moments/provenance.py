"""What stored data was made from, and the refusal of data made from something else."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from ks_core.errors import ProvenanceError
from ks_core.files import short_hash

NAMES = ("model", "corpus")
"""Fields that change no number."""


@dataclass(frozen=True)
class MomentProvenance:
    """Everything that changes the value of a layer's second moment. Two runs with equal fields may share one.

    What was summed over the first tokens of a corpus is the same however many follow, so the files of one text are
    shared by every amount of it.

    The versions of torch and transformers are written beside it but are no part of it: an upgrade is to move numbers by
    no more than rounding, and would otherwise throw every stored pass over the text away.
    """

    model: str
    weights_sha256: str
    config_sha256: str
    tokenizer_sha256: str
    dtype: str
    corpus: str
    corpus_sha256: str
    tokens: int
    longest_text: int

    @property
    def fingerprints(self) -> tuple[str, str, str, str]:
        """Those of the model, as `LoadedModel.fingerprints` has them."""
        return self.weights_sha256, self.config_sha256, self.tokenizer_sha256, self.dtype

    @property
    def text_known(self) -> bool:
        """Whether it was read here, and is the text that `corpus_sha256` is the hash of."""
        return True

    def record(self) -> dict[str, Any]:
        """As it is stored in what was made with it."""
        return asdict(self)

    def digest(self) -> str:
        """A short name for this provenance: SHA-256 over all fields but the names, which change no number."""
        values = {k: v for k, v in asdict(self).items() if k not in NAMES}
        return short_hash(json.dumps(values, sort_keys=True))


def check_provenance(found: dict[str, Any], expected: MomentProvenance, where: str) -> None:
    """Refuse stored data whose provenance differs in any field that changes numbers; `tokens` is each file's own.

    Raises:
        ProvenanceError: names the first field that differs, with both values and the remedy.
    """
    for field in fields(expected):
        if field.name in (*NAMES, "tokens"):
            continue
        got, want = found.get(field.name), getattr(expected, field.name)
        if got != want:
            raise ProvenanceError(
                f"{where} was made with {field.name} = {got!r}; expected {want!r}: "
                "it belongs to another measurement; remove the file, or ask for what it holds"
            )

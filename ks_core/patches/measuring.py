"""The numbers of a certificate: the base and what a folder makes of it, read with the same facts and text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ks_core.data.corpus import Corpus
from ks_core.data.fact import Fact, as_facts
from ks_core.measurement.behaviour import held_out_text
from ks_core.measurement.consequences import (
    HELD_OUT_TOKENS,
    LONGEST_HELD_OUT,
    Consequences,
    KeptFact,
    Readings,
    consequences,
    read,
)
from ks_core.measurement.moments.peers.stated import NOT_KNOWN
from ks_core.models.loaded import LoadedModel
from ks_core.patches.certificate import Inputs, Numbers
from ks_core.patches.edits import Edits
from ks_core.patches.loading import changed_model
from ks_core.statistics.means import Mean
from ks_core.theory.differences import difference

WORST = 10
"""Facts to keep that a certificate names."""

GROWTH = "weight_growth "
"""Before the name of a tensor: ‖ΔW‖ / ‖W‖ of it."""


def inputs_for(model: LoadedModel, edits: Sequence[Edits], keep: Iterable[Fact], corpus: Corpus) -> Inputs:
    """What the numbers of edits are measured with: all facts to keep, and text that no second moment was made from.

    Args:
        model: the base.
        edits: of its layers.
        keep: facts that are to stay, which the model can be asked about.
        corpus: of the second moments; its text after theirs is taken, from its beginning where they were imported.

    Raises:
        InputError: the corpus has no text left.
    """
    known = [of.moments.provenance for of in edits if of.moments.provenance.text_known]
    after = max((of.tokens for of in known), default=0)
    text = held_out_text(model, corpus, after=after, tokens=HELD_OUT_TOKENS, longest_text=LONGEST_HELD_OUT)
    about: dict[str, Any] = {"name": corpus.name, "sha256": corpus.sha256, "after": after}
    if len(known) < len(edits):  # imported second moments may have been made from this text too
        about["apart_from_second_moment"] = NOT_KNOWN
    return Inputs(as_facts(keep, "facts to keep"), tuple(text), about)


def made_of(edits: Iterable[Edits]) -> tuple[dict[str, Any], ...]:
    """How edits were made, as a certificate records it: a record for each layer."""
    return tuple(
        {
            "layer": of.layer,
            "method": of.method,
            "ridge": of.ridge,
            "search": asdict(of.search),
            "second_moment": of.moments.provenance.record(),
            "edits": [fact.case_id for fact in of.facts],
            "protected": [fact.case_id for fact in of.protected],
        }
        for of in edits
    )


@dataclass(frozen=True, eq=False)
class Measured:
    """The numbers, and the readings that they are made of."""

    numbers: Numbers
    before: Readings
    after: Readings


def measure_patch(model: LoadedModel, folder: Path, edits: Sequence[Fact], inputs: Inputs) -> Measured:
    """Read the base, load the folder, and read again.

    Args:
        model: the base, unedited; it is what it was afterwards.
        folder: of the patch, as it is written.
        edits: what was asked.
        inputs: facts to keep and text.

    Raises:
        InputError: the folder does not fit the model, or a fact cannot be asked.
    """
    before = read(model, edits, inputs.keep, inputs.text)
    with changed_model(model, folder) as changed:
        after = read(changed.model, edits, inputs.keep, inputs.text)
        there = changed.after
        growths = {name: difference(of, there[name]) for name, of in changed.before.items()}
    found = consequences(before, after)
    grown = {GROWTH + name: Mean(of.growth, math.nan, of.entries) for name, of in growths.items() if of.norm}
    worst = tuple(map(_record, found.kept[:WORST]))
    return Measured(Numbers(dict(_means(found)) | grown, worst), before, after)


def _means(found: Consequences) -> Iterator[tuple[str, Mean]]:
    for name in ("efficacy", "paraphrase", "neighbourhood", "log_perplexity"):
        change = getattr(found, name)
        yield from ((f"{name}_{which}", getattr(change, which)) for which in ("before", "after", "change"))
    yield "kept_lost", found.lost
    yield "kept_loss", found.loss
    yield "kept_worst_loss", Mean(found.worst, math.nan, len(found.kept))


def _record(of: KeptFact) -> dict[str, Any]:
    return {
        "case_id": of.fact.case_id,
        "subject": of.fact.subject,
        "target_true": of.fact.target_true,
        "loss": of.loss,
        "overtaken_by": of.overtaken_by,
    }

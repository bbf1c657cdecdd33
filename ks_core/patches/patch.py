"""Edits that are, or are to be, one folder: of one base, a layer's edits together, no case twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch

from ks_core import arguments
from ks_core.data.fact import Fact
from ks_core.errors import InputError
from ks_core.formatting import quoted, shown
from ks_core.measurement.moments.peers.stated import sum_of
from ks_core.measurement.values import TargetValues
from ks_core.patches.base import Base
from ks_core.patches.edits import Edits
from ks_core.theory.editing import EditTerms
from ks_core.theory.methods import FORMS

KINDS = ("adapter", "model")
"""What a folder is for others: a PEFT LoRA, or a checkpoint with the edited weights in it."""

NAMED = 20
"""Case ids that a message lists."""


@dataclass(frozen=True, eq=False)
class Patch:
    """All edits of a folder.

    Attributes:
        kind: one of `KINDS`
        edits: by layer, rising; one base, and no case id twice

    Raises:
        InputError: no edits, two of one layer, of different bases, or of one case.
    """

    kind: str
    edits: tuple[Edits, ...]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"kind is {shown(self.kind)}; expected one of {', '.join(KINDS)}")
        made = self.edits
        for edits in made:
            arguments.instance("edits", edits, Edits, "as edit(model, facts, layer) makes them")
        if not made:
            raise InputError("no edits were given; expected one at least")
        for edits in made[1:]:
            made[0].base.require_fingerprints(edits.base.fingerprints, edits.model)
        layer, count = Counter(edits.layer for edits in made).most_common(1)[0]
        if count > 1:
            raise InputError(
                f"{count} of the Edits are of layer {layer}, and were made without each other; expected one for each "
                "layer: make them in one call, or append to a folder"
            )
        refuse_repeated(fact for edits in made for fact in edits.facts)
        object.__setattr__(self, "edits", tuple(sorted(made, key=lambda edits: edits.layer)))

    @property
    def base(self) -> Base:
        """The model that all were made for."""
        return self.edits[0].base

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Of all layers, in the order of layers and edits."""
        return tuple(fact for edits in self.edits for fact in edits.facts)

    @property
    def layers(self) -> tuple[int, ...]:
        """The edited ones, rising."""
        return tuple(edits.layer for edits in self.edits)

    def like(self, layer: int | None) -> Edits:
        """The edits that more of a layer are made like: its own, or where it has none those of every other layer.

        Args:
            layer: of the edits that are to come; may be left out where the patch has one only.

        Raises:
            InputError: several layers and none is named, or a layer without edits beside layers that differ in how
                they were made.
        """
        if layer is None and len(self.edits) > 1:
            raise InputError(
                f"no layer was named, and there are edits in several ({_listed(self.layers)}); expected the one to add "
                "to: name it with --layer (layer in Python)"
            )
        own = [edits for edits in self.edits if layer in (None, edits.layer)]
        if not own:
            for edits in self.edits[1:]:
                _require_alike(self.edits[0], edits, f"layer {self.edits[0].layer}", f"layer {edits.layer}")
        return (own or self.edits)[0]

    def with_more(self, edits: Edits) -> Patch:
        """The same with more edits in a layer: one closed form with those that are there, or the first of the layer.

        Raises:
            InputError: they were made otherwise than those that are there (`like`), for another model, or one case is
                in both.
            RankDeficientError: joint edits whose keys depend on each other.
        """
        there = self.like(edits.layer)
        if there.layer == edits.layer:
            edits = joined(there, edits)
        else:
            _require_alike(there, edits)
        return replace(self, edits=(*(each for each in self.edits if each.layer != edits.layer), edits))

    def on(self, base: Base) -> Patch:
        """The same for the same model by another name, as where its folder was moved to.

        Raises:
            InputError: another model.
        """
        self.base.require_fingerprints(base.fingerprints, base.name)
        return replace(self, edits=tuple(replace(edits, base=base) for edits in self.edits))

    def without(self, case_ids: Sequence[int]) -> Patch:
        """The patch as if these edits had never been made: the closed form of the others.

        Raises:
            InputError: a case that is not there or is given twice, all of them, or an editor of one's own.
        """
        there = [fact.case_id for fact in self.facts]
        gone = arguments.distinct_numbers("case ids", case_ids, "the case ids of edits")
        if missing := [case for case in gone if case not in there]:
            raise InputError(
                f"no edit of case {missing[0]} is in it; expected one of the {len(there)} that are: {_listed(there)}"
            )
        if len(gone) == len(there):
            raise InputError(
                f"{_listed(gone)} are all its edits, and without them it is the base; expected some that stay: remove "
                "the folder to take all of them back"
            )
        left = (_without(edits, gone) for edits in self.edits)
        return replace(self, edits=tuple(edits for edits in left if edits is not None))


def refuse_repeated(facts: Iterable[Fact]) -> None:
    """Refuse two edits of one case id, by which they are told apart.

    Raises:
        InputError: names the first.
    """
    case, count = Counter(fact.case_id for fact in facts).most_common(1)[0]
    if count > 1:
        raise InputError(
            f"{count} edits have the case id {case}; expected every case once: take the one that is there out first, "
            "or give the new one an id of its own"
        )


def joined(edits: Edits, later: Edits) -> Edits:
    """Edits and later ones of the same layer as one stream: the closed form of all of them.

    Args:
        edits: of one of the package's methods, in one layer.
        later: made for the same weight by the same method, in the same space.

    Raises:
        InputError: they differ in what has to be the same, an editor of one's own made one of them, or one case is in
            both.
        RankDeficientError: joint edits whose keys depend on each other.
    """
    terms = terms_of(edits, "added to").then(terms_of(later, "added"))
    edits.base.require_fingerprints(later.base.fingerprints, later.model)
    _require_alike(edits, later)
    _require_same_sum(edits, later)
    pairs = [(getattr(edits.values, of.name), getattr(later.values, of.name)) for of in fields(TargetValues)]
    values = TargetValues(*(torch.cat(pair) for pair in pairs))
    facts = edits.facts + later.facts
    refuse_repeated(facts)
    return replace(edits, facts=facts, values=values, terms=terms, edit=FORMS[edits.method](terms))


def terms_of(edits: Edits, done: str) -> EditTerms:
    """What the closed form of edits is taken of.

    Args:
        edits: as they are.
        done: what is to be done to them, for the message.

    Raises:
        InputError: an editor of one's own made them, which has no closed form here.
    """
    if edits.terms is None:
        raise InputError(
            f"these edits were made by the editor {quoted(edits.method)}, and what it would make of others is not "
            f"known, so they cannot be {done} or taken out one by one; expected edits of {', '.join(FORMS)}: make all "
            "of them anew"
        )
    return edits.terms


def _without(edits: Edits, gone: Sequence[int]) -> Edits | None:
    """What is left of a layer's edits; None where nothing is."""
    places = [place for place, fact in enumerate(edits.facts) if fact.case_id not in gone]
    if len(places) in (0, len(edits)):
        return edits if places else None
    terms = terms_of(edits, "added to").at(places)
    values = TargetValues(*(getattr(edits.values, of.name)[places] for of in fields(TargetValues)))
    facts = tuple(edits.facts[place] for place in places)
    return replace(edits, facts=facts, values=values, terms=terms, edit=FORMS[edits.method](terms))


def _require_alike(edits: Edits, later: Edits, there: str = "those that are there", new: str = "the new edits") -> None:
    """Refuse edits that were made otherwise than others, of the same layer or of another."""
    for name, of in _THE_SAME.items():
        own, other = of(edits), of(later)
        if own != other:
            raise InputError(
                f"the {name} of {new} is {shown(other)}, and {shown(own)} for {there}; expected the same, as all are "
                "made alike where some are added: make them so, or put them into a folder of their own"
            )


def _require_same_sum(edits: Edits, later: Edits) -> None:
    """Refuse edits of one layer with imported second moments that are stated alike and are others."""
    own, other = (sum_of(of.moments.provenance, of.layer) for of in (edits, later))
    if own != other:
        raise InputError(
            f"the second moment of layer {later.layer} was imported from a sum with sha256 {shown(other)}, and those "
            f"that are there were made with {shown(own)}; expected the same file: import that one"
        )


def _text(edits: Edits) -> str:
    """What the second moments were made from, whichever layers they have and whatever the text is called now."""
    made_from = edits.moments.provenance
    text = made_from.corpus_sha256[:12]
    return f"{made_from.tokens:,} tokens of the text {text}, {made_from.digest()}"


_THE_SAME: Mapping[str, Callable[[Edits], object]] = {
    "method": lambda edits: edits.method,
    "ridge": lambda edits: edits.ridge,
    "search": lambda edits: edits.search,
    "list of protected facts": lambda edits: edits.protected,
    "text of the second moments": _text,
}
"""What edits have in common where some are added, by its name in the message."""


def _listed(cases: Sequence[int]) -> str:
    named = ", ".join(map(str, cases[:NAMED]))
    return named if len(cases) <= NAMED else f"{named} and {len(cases) - NAMED} more"

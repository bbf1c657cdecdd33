"""The methods of a long stream, each as published in its sequential form, and the settings of its one knob."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ks_core.errors import InputError
from ks_core.experiments.lifelong.ground import BANK, Ground
from ks_core.experiments.lifelong.spread import spread_edits
from ks_core.theory.batches import batched_edit_of
from ks_core.theory.decomposition import mixed, own_part
from ks_core.theory.editing import Edit, EditTerms, joint_edit_of, lifelong_edits_of
from ks_core.theory.editors import EditFunction, method_of
from ks_core.theory.key_spaces import ALPHAEDIT_EIGENVALUE, KeySpace, null_space, protect
from ks_core.theory.pruning import PUBLISHED_BASE, pruned
from ks_core.theory.whitening import add_ridge, whiten

Edits = Callable[[Sequence[int]], Mapping[int, Edit]]
"""Places of edits, in their order → by layer, all of them as one change of its weight."""

Form = Callable[[EditTerms], Edit]

MEMIT_RIDGE = 15_000.0
"""MEMIT's weight of C = E[k kᵀ], as published for GPT-J; GPT2-XL has 20,000."""

ALPHAEDIT_L2 = 10.0
"""AlphaEdit's weight of the identity, as published with its settings for GPT-J and Llama3."""


@dataclass(frozen=True)
class Contender:
    """A method with one setting.

    Attributes:
        is_default: as published, or as recommended: run in every order
        prepare: what it needs, once → edits in any order
        is_followed: looked at after 1, 2, 4, … edits, and not only where the frontier is drawn
        most: edits that it is followed to; 0 for all
    """

    method: str
    setting: str
    prepare: Callable[[Ground], Edits]
    is_default: bool = False
    is_followed: bool = False
    most: int = 0


def closed(space: Callable[[Ground], KeySpace], form: Form) -> Callable[[Ground], Edits]:
    """A method that is a closed form of keys, residuals and directions in a space."""

    def prepare(ground: Ground) -> Edits:
        terms = ground.terms(space(ground))
        return lambda places: {ground.plan.layer: form(terms.at(places))}

    return prepare


def sequential(terms: EditTerms) -> Edit:
    """One after another, the paper's."""
    return lifelong_edits_of(terms).edit


def with_relative_ridge(terms: EditTerms, ridge: float, form: Callable[..., Edit] = joint_edit_of) -> Edit:
    """With a ridge in units of the mean of kᵀC⁻¹k over all edits that are made, so that it means the same anywhere."""
    mean = float((terms.keys * terms.directions).sum(dim=1).mean())
    return form(terms, ridge=ridge * mean)


def text_space(ground: Ground) -> KeySpace:
    """The whitened space of the text."""
    return ground.whitening


def _null(ground: Ground) -> KeySpace:
    return null_space(ground.second_moment, eigenvalue=ALPHAEDIT_EIGENVALUE)


def _protecting(ground: Ground) -> KeySpace:
    return protect(ground.whitening, ground.protected)


def _own_part(directions: int, ground: Ground) -> KeySpace:
    return own_part(ground.whitening, ground.subjects, directions)


def _mixed(share: float, ground: Ground) -> KeySpace:
    of_subjects = ground.subjects.T @ ground.subjects / len(ground.subjects)
    moment = mixed(ground.second_moment, of_subjects, share)
    return whiten(moment, ridge=ground.text.ridge, name=f"the second moment mixed with {share:g} of subjects'")


def _pruned(ground: Ground) -> Edits:
    terms = ground.terms(ground.whitening)
    base = prune_base(ground.weight)
    return lambda places: {ground.plan.layer: pruned(sequential(terms.at(places)), ground.weight, base=base)}


def prune_base(weight: Tensor) -> float:
    """PRUNE's published base, or the smallest that shortens.

    Where the weight's largest singular value s is small, the published one would lengthen what is just above it; from
    e^(1/s) on none does.
    """
    largest = float(torch.linalg.matrix_norm(weight, 2))
    return max(PUBLISHED_BASE, (1 + 1e-9) * math.exp(min(1 / max(largest, 1e-300), 700.0)))


def details_of(ground: Ground) -> dict[str, str]:
    """By method, what its name does not say of this model."""
    width = ground.weight.shape[1]
    found = {
        "PRUNE": f"base {prune_base(ground.weight):.3g}",
        "spread": f"layers {', '.join(map(str, ground.spread))}",
        "protected": f"keys of {len(ground.protected)} other subjects",
    }
    try:
        null = null_space(ground.second_moment, eigenvalue=ALPHAEDIT_EIGENVALUE)
    except InputError:  # as its row says
        return found
    directions = f"{len(null.basis)} of {width} directions, with {null.variance:.1%} of the text's variance"
    return found | {"AlphaEdit": directions}


def _spread(size: int, ridge: float, ground: Ground) -> Edits:
    spaces = {layer: ground.text.whole(layer) for layer in ground.spread}
    changes = ground.values.residuals(ground.weight)

    def edits(places: Sequence[int]) -> Mapping[int, Edit]:
        chosen = list(places)
        facts = [ground.plan.edits[place] for place in chosen]
        return spread_edits(ground.model, facts, changes[chosen], spaces, size=size, ridge=ridge)

    return edits


def of_editor(name: str, editor: EditFunction) -> Contender:
    """Anyone's editor: all edits so far in one call, with the arrays that its traits ask for."""

    def prepare(ground: Ground) -> Edits:
        moment = add_ridge(ground.second_moment, ground.text.ridge)
        method = method_of(editor, moment, ground.protected, name)
        keys, values = ground.values.keys, ground.values.values
        return lambda places: {ground.plan.layer: method.edit(ground.weight, keys[list(places)], values[list(places)])}

    return Contender(name, "", prepare, is_default=True)


def contenders(width: int) -> tuple[Contender, ...]:
    """All methods but anyone's.

    Args:
        width: d_key; where it is small, settings that would take up key space are left out.
    """
    return (*in_text_space(), *in_batches(), *in_other_spaces(width))


def in_text_space() -> tuple[Contender, ...]:
    """One after another, all at once with a path of ridges, and the first with its weight restrained."""
    return (
        Contender("sequential", "", closed(text_space, sequential), is_default=True, is_followed=True),
        Contender("joint", "", closed(text_space, joint_edit_of), is_default=True, is_followed=True),
        *(
            Contender("joint", f"ridge {ridge:g}", closed(text_space, partial(with_relative_ridge, ridge=ridge)))
            for ridge in (0.03, 0.3, 3.0)
        ),
        Contender("PRUNE", "", _pruned, is_default=True),
    )


def in_batches() -> tuple[Contender, ...]:
    """Methods without memory of earlier batches, in the sizes that they are run with."""
    light = partial(with_relative_ridge, ridge=0.3, form=partial(batched_edit_of, size=100))
    memit = {size: partial(batched_edit_of, size=size, ridge=MEMIT_RIDGE) for size in (1, 10, 100)}
    emmet = {size: partial(batched_edit_of, size=size) for size in (10, 100)}
    return (
        *(
            Contender("MEMIT", f"batches of {size}", closed(text_space, form), is_default=size == 100)
            for size, form in memit.items()
        ),
        Contender("MEMIT", "batches of 100, ridge 0.3", closed(text_space, light)),
        Contender("spread", "batches of 100", partial(_spread, 100, MEMIT_RIDGE), is_default=True),
        *(
            Contender("EMMET", f"batches of {size}", closed(text_space, form), is_default=size == 10)
            for size, form in emmet.items()
        ),
    )


def in_other_spaces(width: int) -> tuple[Contender, ...]:
    """Methods that write in a part of key space, or with another second moment."""
    taken_out = [directions for directions in (16, 64, 256) if directions < width // BANK]
    return (
        *(
            Contender("AlphaEdit", f"L2 {l2:g}", closed(_null, partial(joint_edit_of, ridge=l2)), l2 == ALPHAEDIT_L2)
            for l2 in (0.1, 1.0, ALPHAEDIT_L2, 100.0)
        ),
        Contender("protected", "", closed(_protecting, joint_edit_of), is_default=True),
        *(
            Contender(
                "own part", f"without {out} directions", closed(partial(_own_part, out), joint_edit_of), out == 64
            )
            for out in taken_out
        ),
        *(
            Contender("mixed C", f"{share:g} of subjects", closed(partial(_mixed, share), joint_edit_of), share == 0.5)
            for share in (0.25, 0.5)
        ),
    )

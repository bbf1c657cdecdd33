"""Settings of the search of values as a knob: what an edit that stops earlier, or is held shorter, keeps and spares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ks_core.experiments.lifelong.contenders import Contender, Edits, Form, sequential
from ks_core.experiments.lifelong.ground import Ground
from ks_core.measurement.cached_values import cached_target_values
from ks_core.measurement.values import GENTLE, ROME, TargetValues, ValueSettings
from ks_core.theory.editing import Edit, edit_terms, joint_edit_of

LEVELS = (0.5, 0.8, 0.95)
"""Probabilities at which a search stops: 0.95 is ROME's and the default; the others are met on the way there."""

OWN = {
    "norm bound 1": ValueSettings(norm_bound=1.0),
    "decay 0.5": GENTLE,
    "ROME's": ROME,
}
"""Searches of their own, beside those that are met on the way."""

SEARCHED = 128
"""Edits of the first order for which a search of its own is made: each costs a second on two cores."""

FORMS: Mapping[str, Form] = {"sequential": sequential, "joint": joint_edit_of}


def of_searches() -> tuple[Contender, ...]:
    """Sequential and joint edits with values that were searched otherwise."""
    on_the_way = [
        Contender(f"search, {name}", f"stop at {level:g}", partial(_on_the_way, level, form))
        for name, form in FORMS.items()
        for level in LEVELS[:-1]
    ]
    own = [
        Contender("search, joint", name, partial(_of_its_own, settings, joint_edit_of), most=SEARCHED)
        for name, settings in OWN.items()
    ]
    return (*on_the_way, *own)


def _on_the_way(level: float, form: Form, ground: Ground) -> Edits:
    return _written(form, ground, ground.levels[level], range(len(ground.plan.edits)))


def _of_its_own(settings: ValueSettings, form: Form, ground: Ground) -> Edits:
    places = ground.plan.orders[0][:SEARCHED].tolist()
    facts = [ground.plan.edits[place] for place in places]
    return _written(form, ground, cached_target_values(ground.model, facts, ground.plan.layer, settings), places)


def _written(form: Callable[..., Edit], ground: Ground, values: TargetValues, searched: Sequence[int]) -> Edits:
    """Edits of the places that were searched, in any order."""
    terms = edit_terms(ground.weight, values.keys, values.values, ground.whitening)
    rows = {place: row for row, place in enumerate(searched)}
    return lambda places: {ground.plan.layer: form(terms.at([rows[place] for place in places]))}

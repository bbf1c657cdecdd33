"""The curve of a long stream, foretold from a sample of its edits before the values of the others are searched.

Searching the values is most of the work of a stream; keys cost one pass. So the keys of all edits are read, the values
of m of them are searched, and each of the others is given the wanted change of one of the m, drawn at random. The
stream that results is let act through the network, no weight touched.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ks_core.errors import InputError
from ks_core.experiments.lifelong.acting import simulate
from ks_core.experiments.lifelong.contenders import Form
from ks_core.experiments.lifelong.look import Curve, Look
from ks_core.experiments.lifelong.measurement import Forecast
from ks_core.experiments.lifelong.plan import LifelongPlan
from ks_core.experiments.lifelong.reading import Asked, about_new, asked
from ks_core.formatting import one_line
from ks_core.measurement.standing import unknown
from ks_core.theory.editing import EditTerms

SAMPLE = 64
"""Edits whose values a forecast knows; a quarter where the stream has not four times as many."""

SAMPLES = 3
"""Samples of a forecast: the fewest whose spread says anything."""

STEP = 2
"""A forecast looks at every second of the plan's counts."""


def foretell(method: str, form: Form, terms: EditTerms, plan: LifelongPlan, watched: Asked, seed: int) -> Forecast:
    """Foretell a method's curve from several samples.

    Args:
        method: its name.
        form: its closed form.
        terms: of all N edits; of their residuals only those of the sample are used.
        plan: of the stream.
        watched: facts that are asked for.
        seed: of samples, orders and what the others are given.
    """
    size = min(SAMPLE, len(terms) // 4)
    counts = plan.counts[-1::-STEP][::-1]
    found = [
        _along(np.random.default_rng([seed, number]), form, terms, plan, watched, size, counts)
        for number in range(SAMPLES)
    ]
    reasons = [reason for _, reason in found if reason]
    looks = tuple(of_sample for of_sample, _ in found)
    name = f"foretold from {size} edits"
    return Forecast(method, size, Curve(method, name, False, looks, reasons[0] if reasons else ""))


def _along(
    rng: np.random.Generator,
    form: Form,
    terms: EditTerms,
    plan: LifelongPlan,
    watched: Asked,
    size: int,
    counts: Sequence[int],
) -> tuple[tuple[Look, ...], str]:
    """Looks from one sample, and why there are not more of them."""
    order = rng.permutation(len(terms))
    early, rest = order[: plan.early], order[plan.early :]
    known = np.sort(rng.choice(len(early), min(size, len(early)), replace=False))  # places in the order
    more = rng.choice(rest, max(0, size - len(known)), replace=False)
    sample = np.concatenate([early[known], more])
    foretold = with_drawn_residuals(terms, sample, rng).at(order.tolist())
    facts = [about_new(plan.edits[place]) for place in early[known]]
    own = asked(watched.model, watched.layer, facts, [frozenset({fact.target_new}) for fact in facts])
    looks: list[Look] = []
    for count in counts:
        try:
            looks.append(_look(plan.layer, form, foretold, own, watched, known, count))
        except InputError as error:
            return tuple(looks), f"after {count} edits: {one_line(error)}"
    return tuple(looks), ""


def with_drawn_residuals(terms: EditTerms, sample: NDArray[np.intp], rng: np.random.Generator) -> EditTerms:
    """The same keys; each edit outside the sample gets the residual of one in it, drawn with replacement."""
    donors = np.arange(len(terms))
    outside = np.setdiff1d(donors, sample)
    donors[outside] = rng.choice(sample, len(outside))
    return EditTerms(terms.keys, terms.residuals[donors], terms.directions)


def _look(
    layer: int, form: Form, terms: EditTerms, own: Asked, watched: Asked, known: NDArray[np.intp], count: int
) -> Look:
    edits = {layer: form(terms.at(range(count)))}
    nothing = unknown(0)
    return Look(
        edits=count,
        early=simulate(own, edits, first=int(np.searchsorted(known, count))),
        later=nothing,
        paraphrase=nothing,
        neighbourhood=nothing,
        watched=simulate(watched, edits),
        losses=np.empty(0),
        growth=float("nan"),
        length=float("nan"),
    )

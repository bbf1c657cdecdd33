"""Long streams made of planted numbers, for tests of what is judged, shown and stored of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from planted_claims import number

from ks_core.data.facts import Fact
from ks_core.experiments.lifelong.look import Curve, Look
from ks_core.experiments.lifelong.measurement import Acting, Forecast, Lifelong
from ks_core.experiments.lifelong.plan import LifelongPlan, plan_lifelong
from ks_core.experiments.lifelong.scores import HALVED
from ks_core.experiments.streams.growth import Growth
from ks_core.measurement.standing import Standing
from ks_core.measurement.values import ValueSettings
from ks_core.statistics.pairs import Array

EDITS, NEAR, FAR, TEXTS = 64, 24, 8, 10

REACHED = 0.9
"""Probability of every new object with its value put in."""

OWN = 0.5
"""Probability of every watched fact's own object before any edit."""

LOSS = 3.0
"""Of every text before any edit, nats a token."""

Planted = Callable[[int, int], Mapping[str, Any]]
"""Order and number of edits → what `look` takes."""


def fact(case_id: int, relation: str = "P1") -> Fact:
    return Fact(case_id, f"Town{case_id}", relation, "{} lies in", f"Land{case_id % 5}", "Nowhere")


def plan(edits: int = EDITS, orders: int = 3) -> LifelongPlan:
    """So many edits in layer 1, watched facts of their relation, and of another."""
    known = [fact(case_id) for case_id in range(edits + NEAR)]
    far = [fact(1000 + case_id, "P2") for case_id in range(FAR)]
    return plan_lifelong(1, known, far, edits, seed=0, orders=orders)


def standing(log_probability: Any, lead: Any = 1.0) -> Standing:
    numbers = torch.as_tensor(np.atleast_1d(log_probability), dtype=torch.float64)
    leads = torch.as_tensor(np.broadcast_to(lead, numbers.shape).copy(), dtype=torch.float64)
    return Standing(numbers, leads, torch.zeros(len(numbers), dtype=torch.int64))


NOTHING = standing(np.empty(0))


def look(
    of: LifelongPlan,
    edits: int,
    *,
    kept: Any = REACHED,
    change: Any = 0.0,
    neighbourhood: Any = 1.0,
    rise: Any = 0.0,
    growth: float = 0.0,
) -> Look:
    """A model after so many edits.

    Args:
        of: the plan.
        edits: n.
        kept: p(new) of each edit made so far of the first quarter, or of all of them.
        change: of the log-probability of each watched fact's own object.
        neighbourhood: lead of each true object of the neighbourhood.
        rise: of the loss of each text.
        growth: ‖ΔW‖ / ‖W‖.
    """
    early = min(edits, of.early)
    p_new = np.log(np.broadcast_to(kept, early))
    watched = np.log(OWN) + np.broadcast_to(change, len(of.watched))
    later = np.full(min(8, edits - early), np.log(REACHED))
    return Look(
        edits=edits,
        early=standing(p_new),
        later=standing(later),
        paraphrase=standing(p_new[:8]),
        neighbourhood=standing(np.full(min(8, early), -1.0), np.broadcast_to(neighbourhood, min(8, early))),
        watched=standing(watched, lead=1.0 + np.broadcast_to(change, len(of.watched))),
        losses=LOSS + np.broadcast_to(rise, TEXTS),
        growth=growth,
        length=growth,
    )


def foretold(of: LifelongPlan, edits: int, *, kept: Any = REACHED, change: Any = 0.0) -> Look:
    """What a forecast says of a model after so many edits."""
    whole = look(of, edits, kept=kept, change=change)
    empty = np.empty(0)
    return Look(edits, whole.early, NOTHING, NOTHING, NOTHING, whole.watched, empty, float("nan"), float("nan"))


def fading(speed: float, damage: float) -> Planted:
    """What is kept falls and what is broken rises with the number of edits; orders differ a little."""

    def planted(order: int, edits: int) -> dict[str, Any]:
        worst = np.linspace(0.0, 2.0, NEAR + FAR)
        return {
            "kept": REACHED / (1 + speed * edits / EDITS * (1 + 0.05 * order)),
            "change": -damage * edits / EDITS * worst,
            "rise": 0.1 * damage * edits / EDITS,
            "growth": damage * edits / EDITS,
            "neighbourhood": np.where(np.arange(min(8, edits, EDITS // 4)) < 8 - 4 * damage * edits / EDITS, 1.0, -1.0),
        }

    return planted


METHODS: Mapping[str, Planted] = {
    "sequential": fading(3.0, 0.8),
    "joint": fading(0.5, 1.2),
    "protected": fading(3.0, 0.5),
}


def curve(
    of: LifelongPlan,
    method: str,
    planted: Planted,
    counts: Sequence[int] | None = None,
    setting: str = "",
    default: bool = True,
) -> Curve:
    """A method in every order of a plan, looked at after all counts of the plan or some."""
    looks = tuple(
        tuple(look(of, count, **planted(order, count)) for count in counts or of.counts)
        for order in range(len(of.orders))
    )
    return Curve(method, setting, default, looks)


def forecast(of: LifelongPlan, method: str, planted: Planted, samples: int = 3) -> Forecast:
    """A forecast whose samples say what the orders of a stream would."""
    looks = tuple(
        tuple(
            foretold(
                of, count, **{name: to for name, to in planted(sample, count).items() if name in ("kept", "change")}
            )
            for count in of.counts
        )
        for sample in range(samples)
    )
    return Forecast(method, 16, Curve(method, "forecast from 16", True, looks))


def acting(
    of: LifelongPlan, method: str, everywhere: Any, at_subject: Any, elsewhere: Any, share: Any = None
) -> Acting:
    """Changes of the watched facts' log-probabilities by where the edits act."""
    changes = [np.log(OWN) + np.broadcast_to(change, len(of.watched)) for change in (everywhere, at_subject, elsewhere)]
    shares = np.linspace(0.0, 0.9, len(of.watched)) if share is None else share
    return Acting(method, len(of.edits), *map(standing, changes), largest_share=shares)


def planted_lifelong(
    methods: Mapping[str, Planted] = METHODS, edits: int = EDITS, orders: int = 3, **changed: Any
) -> Lifelong:
    """Long streams by some methods; `changed` replaces fields.

    One method turns a knob, and someone's editor has failed.
    """
    of = plan(edits, orders)
    curves = [curve(of, name, planted) for name, planted in methods.items()]
    curves.append(curve(of, "joint", fading(1.0, 0.6), of.frontier, "ridge 1", default=False))
    curves.append(Curve("mine:edit", "", True, (), failed="mine:edit gave NaN after 5 edits"))
    worst = np.linspace(0.0, 2.0, len(of.watched))
    fields: dict[str, Any] = {
        "plan": of,
        "search": ValueSettings(),
        "reached": np.full(edits, REACHED),
        "before": tuple(look(of, edits, kept=0.01) for _ in range(orders)),
        "text_lengths": np.arange(1.0, TEXTS + 1),
        "curves": tuple(curves),
        "acting": (acting(of, "sequential", -worst, -0.6 * worst, -0.4 * worst),),
        "forecasts": tuple(forecast(of, name, methods[name]) for name in ("sequential", "joint") if name in methods),
        "growth": Growth((1, 2, 4, 8, 16, 32), np.sqrt([1.0, 2, 4, 8, 16, 32]), number(0.5, 0.05), number(0.6, 0.05)),
        "simulated": dict.fromkeys(methods, 1e-6),
        "resamples": 100,
        "seed": 0,
        "seconds": {"streams": 1.0},
    }
    return Lifelong(**{**fields, **changed})


def with_curves(lifelong: Lifelong, **methods: Planted) -> Lifelong:
    """The long streams with other curves of some methods, and no forecast."""
    curves = {of.method: of for of in lifelong.curves if of.is_default}
    curves |= {name: curve(lifelong.plan, name, planted) for name, planted in methods.items()}
    return replace(lifelong, curves=tuple(curves.values()), forecasts=())


def halved(share: float) -> Array:
    """A change that halves such a share of the watched facts; that of the others is large, and not enough."""
    return np.where(np.arange(NEAR + FAR) < round(share * (NEAR + FAR)), -1.01 * HALVED, -0.99 * HALVED)

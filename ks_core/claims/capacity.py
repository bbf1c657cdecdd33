"""capacity: damage by a stream of edits follows the number of edits in units of the layer, whatever the model.

Definition: insertions (arbitrary objects for subjects that no fact is about) are made one after another in models of
many widths, in the layer at a third of the depth. The damage is the share of watched known facts whose own object has
lost half of its probability a token. The number of edits at which it first reaches a fifth, between counts that were
looked at as straight in log n, is put into two units: `per-dimension`, n / d_key, as every edit takes a direction
of key space; `per-superposition`, n times the mean square of P from the edited keys to the watched, as shares of
independent edits add up in squares. The number is the standard deviation over models of log2 of that place, and its
95 % interval that of a variance by χ², with one degree of freedom less than there are models: other models are what it
is about. What the sampling of watched facts adds is left in, as models are read on much the same facts and it cannot be
taken out as if they were not; so is which edits come first, as each model has one stream. Both make the spread larger.
A third of the depth is another relative depth in a model of two layers than in one of thirty.

Threshold: 0.5. One standard deviation either way then spans a factor of two, from the square root of a half to that of
two: a planner who takes half of what the rule gives, two standard deviations less, is right for 97 models in 100.
Beyond, the rule says little more than the model's size. Beside it stand the same spread of log2 n itself (what is there
without any unit) and of the weight's growth ‖ΔW‖ / ‖W‖ where a fifth is lost, that of joint edits, where a fifth is
lost in the geometric mean of the models, and the root mean square distance of all points of all models from one
logistic curve.

A model that lost a fifth with its first edit, or never, has no such place: it is left out of the spread and named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, Judged, NotApplicable, Reference
from ks_core.experiments.capacity.measure import Capacity
from ks_core.experiments.capacity.stream import ModelCapacity
from ks_core.experiments.lifelong.crossing import crossing
from ks_core.statistics.bootstrap import fact_weights
from ks_core.statistics.logistic import fit_logistic
from ks_core.statistics.pairs import Array

LOST = 0.2
"""Share of the watched facts whose loss is called damage: a fifth, well above the error of a share of 128 (0.035)."""

FEWEST_MODELS = 4
"""With fewer the χ² interval of a spread reaches over a factor of ten, and nothing can be decided."""

ONE_CURVE = Bound("below", 0.5)

Unit = Callable[[ModelCapacity], float]
"""What one edit counts, in a model."""

UNITS: dict[str, tuple[str, Unit]] = {
    "per-dimension": ("n / d_key", lambda model: 1 / model.d_key),
    "per-superposition": ("n times the mean square of P", lambda model: model.onto),
}


@dataclass(frozen=True)
class Place:
    """Where a model has lost a fifth.

    Attributes:
        log_edits: log2 of the number of edits
        error: of it, over watched facts
        growth: ‖ΔW‖ / ‖W‖ there
    """

    model: ModelCapacity
    log_edits: float
    error: float
    growth: float


def judge(measured: Capacity) -> list[Finding] | NotApplicable:
    """Judge the spread of where models lose a fifth of what they know, in both units."""
    found = places(measured, "sequential")
    if len(found) < FEWEST_MODELS:
        return NotApplicable(
            f"{len(found)} of {len(measured.models)} models were seen to lose a fifth of what they know; expected "
            f"{FEWEST_MODELS} at least, of several widths ({_left_out(measured, found) or 'no other was measured'})"
        )
    return [_finding(measured, found, part) for part in UNITS]


def places(measured: Capacity, method: str) -> list[Place]:
    """The models that lose a fifth between two of the counts they were looked at, in every bootstrap sample too."""
    found = []
    for model in measured.models:
        curve = model.known(method)
        if not curve or curve[0].share >= LOST:  # nothing, or nowhere between two counts
            continue
        weights = fact_weights(model.watched, measured.resamples, measured.seed) / model.watched
        halved = np.stack([damage.halved for damage in curve]).astype(np.float64)
        counts = [damage.edits for damage in curve]
        shares = np.vstack([halved.mean(axis=1), weights @ halved.T])
        value, *samples = (math.log2(crossing(counts, of, LOST)) for of in shares)
        if (shares[:, 0] < LOST).all() and np.isfinite([value, *samples]).all():
            growth = np.interp(value, np.log2(counts), [damage.growth for damage in curve])
            found.append(Place(model, value, float(np.std(samples, ddof=1)), float(growth)))
    return found


def spread(logs: Array) -> tuple[float, float, float]:
    """Standard deviation over models, and its 95 % interval by χ².

    Args:
        logs: (m,), m > 1.

    Example:
        >>> value, low, high = spread(np.array([0.0, 2.0]))
        >>> round(value, 3), round(low, 3), high > 40
        (1.414, 0.631, True)
    """
    freedom = len(logs) - 1
    squares = float(np.var(logs, ddof=1))
    low, high = (math.sqrt(freedom * squares / float(chi2.ppf(q, freedom))) for q in (0.975, 0.025))
    return math.sqrt(squares), low, high


def _finding(measured: Capacity, found: Sequence[Place], part: str) -> Finding:
    words, unit = UNITS[part]
    value, low, high = _spread_of(found, unit)
    error = (high - low) / (2 * 1.96)  # of an interval that is not symmetric, half of it stands for two errors
    left_out = _left_out(measured, found)
    return Finding(
        claim="capacity",
        part=part,
        quantity=f"spread over models of log2 of {words} at which a fifth of the watched facts lost half",
        judged=Judged(value, error, 0.0, (low, high), ONE_CURVE, ONE_CURVE.judge(low, high)),
        count=len(found),
        counted="models" + (f" (not: {left_out})" if left_out else ""),
        method="sequential",
        references=_references(measured, found, unit),
    )


def _references(measured: Capacity, found: Sequence[Place], unit: Unit) -> tuple[Reference, ...]:
    logs = np.array([place.log_edits + math.log2(unit(place.model)) for place in found])
    joint = places(measured, "joint")
    fit = fit_logistic(*_points(found, unit))
    return (
        Reference("n alone", _spread_of(found, lambda _: 1.0)[0]),
        Reference("growth of the weight", float(np.std(np.log2([place.growth for place in found]), ddof=1))),
        *((Reference("joint", _spread_of(joint, unit)[0]),) if len(joint) >= FEWEST_MODELS else ()),
        Reference("a fifth lost at", float(2 ** logs.mean())),
        Reference("share off one logistic curve", fit.residual),
    )


def _spread_of(found: Sequence[Place], unit: Unit) -> tuple[float, float, float]:
    return spread(np.array([place.log_edits + math.log2(unit(place.model)) for place in found]))


def _points(found: Sequence[Place], unit: Unit) -> tuple[Array, Array]:
    """All points of the models' curves: log2 of edits in a unit, and the share that lost half."""
    points = [
        (math.log2(damage.edits * unit(place.model)), damage.share)
        for place in found
        for damage in place.model.known("sequential")
    ]
    where, shares = np.array(points).T
    return where, shares


def _left_out(measured: Capacity, found: Sequence[Place]) -> str:
    """The models without a place, each with its reason."""
    seen = {id(place.model) for place in found}
    return ", ".join(f"{model.name} {_why(model)}" for model in measured.models if id(model) not in seen)


def _why(model: ModelCapacity) -> str:
    curve = model.known("sequential")
    if not curve:
        return "could not be read"
    if curve[0].share >= LOST:
        return f"lost {curve[0].share:.0%} with the first edit"
    most = max(damage.share for damage in curve)
    return f"lost {most:.0%} at most" if most < LOST else "did so in some samples of the facts only"


CLAIM = Claim(
    "capacity",
    "damage by a stream of edits follows the number of edits per dimension of the keys, whatever the model",
    "capacity",
    judge,
    short="dimensions set capacity",
    missing="no streams of insertions were made",
)

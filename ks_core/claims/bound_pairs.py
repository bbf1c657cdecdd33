"""bound-pairs: editing one of a pair with p near 1 changes the other, with p near 0 it does not (paper, main text).

Single edits of facts of one relation (variant `long`: of three), in some layers, each read at the prompts of its
neighbours (see `ks_core/experiments/dose`). The response of a pair is the change of the new object's log-probability
after the other fact's prompt, the dose is P from the edited fact to the other.

Definitions and thresholds.
`dose`: Spearman's rank correlation of dose and response over all pairs; 0.5, which Cohen (1988) calls strong.
`bound`: of pairs with P >= 0.8, the share where the new object has overtaken the other fact's own; one half, "most".
`free`: of pairs with |P| <= 0.05, the share where the new object's probability has not even doubled or halved; 95 %,
all but one in twenty. `gradient`: how much stronger the correlation becomes when the response is predicted as P g .
delta, from the residual and the gradient of the new object's log-probability, both known before the edit; 0, a
direction. `kept`: the rank correlation of the predicted and the measured change of the other fact's own object; 0.5, as
for `dose`.

Errors: edits and neighbours are drawn anew, both, as pairs of one edit (and of one neighbour) are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, NotApplicable, Reference
from ks_core.claims.judging import judge_number
from ks_core.experiments.dose.measure import DoseMeasurement
from ks_core.experiments.dose.response import DoseResponse
from ks_core.statistics.crossed import crossed_bootstrap, of_pairs
from ks_core.statistics.estimate import Replicates
from ks_core.statistics.pairs import Array
from ks_core.statistics.ranks import rank_correlation

STRONG = Bound("above", 0.5)
MOST = Bound("above", 0.5)
ALL_BUT_ONE_IN_TWENTY = Bound("above", 0.95)
RISES = Bound("above", 0.0)
BOUND, FREE = 0.8, 0.05


def judge(measured: DoseMeasurement, variant: str = "") -> list[Finding] | NotApplicable:
    """Judge responses against doses."""
    if measured.response is None:
        return NotApplicable("no relation has three usable facts, or only the model's last layer was measured")
    parts = (_dose, _bound, _free, _gradient, _kept)
    return [replace(judge_part(measured, measured.response), variant=variant) for judge_part in parts]


def _dose(measured: DoseMeasurement, found: DoseResponse) -> Finding:
    estimate = _estimate(measured, found, rank_correlation, "dose", "response")
    return _finding(found, "dose", "rank correlation of P and the new object's gain", estimate, STRONG)


def _bound(measured: DoseMeasurement, found: DoseResponse) -> Finding:
    below = of_pairs(_share_below, found.dose, found.overtaken)
    return _finding(
        found,
        "bound",
        f"pairs with P >= {BOUND} where the new object overtakes",
        _estimate(measured, found, share_overtaken, "dose", "overtaken"),
        MOST,
        entries=int((found.dose >= BOUND).sum()),
        references=(Reference(f"P < {BOUND}", below),),
    )


def _free(measured: DoseMeasurement, found: DoseResponse) -> Finding:
    return _finding(
        found,
        "free",
        f"pairs with |P| <= {FREE} left within a factor of two",
        _estimate(measured, found, share_untouched, "dose", "response"),
        ALL_BUT_ONE_IN_TWENTY,
        entries=int((np.abs(found.dose) <= FREE).sum()),
    )


def _gradient(measured: DoseMeasurement, found: DoseResponse) -> Finding:
    alone = of_pairs(rank_correlation, found.predicted, found.response)
    return _finding(
        found,
        "gradient",
        "rank correlation gained by P g . delta over P",
        _estimate(measured, found, gain, "dose", "predicted", "response"),
        RISES,
        references=(Reference("P g . delta alone", alone),),
    )


def _kept(measured: DoseMeasurement, found: DoseResponse) -> Finding:
    estimate = _estimate(measured, found, rank_correlation, "kept_predicted", "kept_response")
    return _finding(found, "kept", "rank correlation, predicted and measured change of own objects", estimate, STRONG)


def _finding(
    found: DoseResponse,
    part: str,
    quantity: str,
    estimate: Replicates,
    bound: Bound,
    *,
    entries: int | None = None,
    references: tuple[Reference, ...] = (),
) -> Finding:
    """One part; `entries` is how many pairs a fraction of them is of, all where the number is none."""
    return Finding(
        claim="bound-pairs",
        part=part,
        relation=found.relation,
        quantity=quantity,
        judged=judge_number(estimate, bound),
        count=found.pairs if entries is None else entries,
        counted="pairs of edit and other fact over the layers",
        layers=found.layers,
        across="pooled",
        references=references,
        grain=0.0 if entries is None else 1 / max(1, entries),
    )


def _estimate(
    measured: DoseMeasurement, found: DoseResponse, statistic: Callable[..., float], *names: str
) -> Replicates:
    """A number of all pairs, from arrays of the dose experiment by name; text enters where there is one `_of_half`."""
    whole: list[Any] = [getattr(found, name) for name in names]
    half = [getattr(found, f"{name}_of_half", getattr(found, name)) for name in names]
    return Replicates(
        np.array(of_pairs(statistic, *whole)),
        crossed_bootstrap(statistic, *whole, resamples=measured.resamples, seed=measured.seed),
        np.array([of_pairs(statistic, *half)]),
    )


def share_overtaken(dose: Array, overtaken: Array) -> float:
    """Share of the bound pairs where the new object overtakes; NaN without any."""
    bound = dose >= BOUND
    return float(overtaken[bound].mean()) if bound.any() else math.nan


def share_untouched(dose: Array, response: Array) -> float:
    """Share of the free pairs whose probability is within a factor of two of what it was; NaN without any."""
    free = np.abs(dose) <= FREE
    return float((np.abs(response[free]) < math.log(2)).mean()) if free.any() else math.nan


def _share_below(dose: Array, overtaken: Array) -> float:
    below = dose < BOUND
    return float(overtaken[below].mean()) if below.any() else math.nan


def gain(dose: Array, predicted: Array, response: Array) -> float:
    """By how much a prediction ranks responses better than the dose does."""
    return rank_correlation(predicted, response) - rank_correlation(dose, response)


SENTENCE = "an edit changes the facts whose P is near 1 and leaves those near 0"
CLAIM = Claim("bound-pairs", SENTENCE, "dose", judge, short="P is the dose of an edit")
LONG = Claim("bound-pairs@long", SENTENCE, "long_dose", partial(judge, variant="long"), short="long: P is the dose")

"""bound-pairs: editing one of a pair with p near 1 changes the other, with p near 0 it does not (paper, main text).

Single edits of facts of one relation, in some layers, each read at the prompts of the relation's other facts (see
`ks_core.experiments.dose`). The response of a pair is the change of the new object's log-probability behind the other
fact's prompt, the dose is P from the edited fact to the other.

Definitions and thresholds.
`dose`: Spearman's rank correlation of dose and response over all pairs; 0.5, which Cohen (1988) calls strong.
`bound`: of pairs with P >= 0.8, the share where the new object has overtaken the other fact's own; one half, "most".
`free`: of pairs with |P| <= 0.05, the share where the new object's probability has not even doubled or halved; 95 %,
all but one in twenty. `gradient`: how much stronger the correlation becomes when the response is predicted as P g .
delta, from the residual and the gradient of the new object's log-probability, both known before the edit; 0, a
direction. `kept`: the rank correlation of the predicted and the measured change of the other fact's own object; 0.5, as
for `dose`.

Errors: edits and other facts are drawn anew, both, as pairs of one edit (and of one other fact) are not independent.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest

from ks_core.claims.finding import Bound, Finding, of_one_number, span
from ks_core.experiments.dose.measure import DoseMeasurement
from ks_core.experiments.dose.response import DoseResponse
from ks_core.statistics.crossed import crossed_bootstrap, of_pairs
from ks_core.statistics.estimate import Replicates
from ks_core.statistics.ranks import rank_correlation

STRONG = 0.5
BOUND, FREE = 0.8, 0.05
MOST = 0.5
ALL_BUT_ONE_IN_TWENTY = 0.95


def share_overtaken(dose: np.ndarray, overtaken: np.ndarray) -> float:
    bound = dose >= BOUND
    return float(overtaken[bound].mean()) if bound.any() else math.nan


def share_untouched(dose: np.ndarray, response: np.ndarray) -> float:
    free = np.abs(dose) <= FREE
    return float((np.abs(response[free]) < math.log(2)).mean()) if free.any() else math.nan


def gain(dose: np.ndarray, predicted: np.ndarray, response: np.ndarray) -> float:
    return rank_correlation(predicted, response) - rank_correlation(dose, response)


def judge(measured: DoseMeasurement) -> list[Finding]:
    found = measured.response
    if found is None:
        pytest.skip("no relation has three usable facts")

    def number(statistic: Callable[..., float], *names: str) -> Replicates:
        whole = [getattr(found, name) for name in names]
        half = [getattr(found, f"{name}_of_half", getattr(found, name)) for name in names]
        return Replicates(
            np.array(of_pairs(statistic, *whole)),
            crossed_bootstrap(statistic, *whole, resamples=measured.resamples, seed=measured.seed),
            np.array([of_pairs(statistic, *half)]),
        )

    correlation = number(rank_correlation, "dose", "response")
    predicted = of_pairs(rank_correlation, found.predicted, found.response)
    rows = [
        ("dose", "rank correlation of P and the new object's gain", correlation, Bound("above", STRONG), ""),
        (
            "bound",
            f"pairs with P >= {BOUND} where the new object overtakes",
            number(share_overtaken, "dose", "overtaken"),
            Bound("above", MOST),
            f"P < {BOUND}: {of_pairs(share_below, found.dose, found.overtaken):.2f}",
        ),
        (
            "free",
            f"pairs with |P| <= {FREE} left within a factor of two",
            number(share_untouched, "dose", "response"),
            Bound("above", ALL_BUT_ONE_IN_TWENTY),
            "",
        ),
        (
            "gradient",
            "rank correlation gained by P g . delta over P",
            number(gain, "dose", "predicted", "response"),
            Bound("above", 0.0),
            f"P g . delta alone {predicted:.2f}",
        ),
        (
            "kept",
            "rank correlation, predicted and measured change of own objects",
            number(rank_correlation, "kept_predicted", "kept_response"),
            Bound("above", STRONG),
            "",
        ),
    ]
    return [
        of_one_number(
            f"bound-pairs:{name}",
            quantity,
            estimate,
            bound,
            layers=span(found.layers),
            count=counted(found, name),
            counted="pairs of edit and other fact over the layers",
            reference=reference,
            grain=1 / max(1, counted(found, name)) if name in ("bound", "free") else 0.0,
        )
        for name, quantity, estimate, bound, reference in rows
    ]


def share_below(dose: np.ndarray, overtaken: np.ndarray) -> float:
    return float(overtaken[dose < BOUND].mean())


def counted(found: DoseResponse, name: str) -> int:
    dose = found.dose[~np.isnan(found.dose)]
    chosen = {"bound": dose >= BOUND, "free": np.abs(dose) <= FREE}.get(name)
    return len(dose) if chosen is None else int(chosen.sum())


@pytest.mark.paper
def test_bound_pairs(ks_dose, ks_record):
    ks_record(judge(ks_dose))

"""What a look says in numbers: what is kept, what is broken, shares and tails as well as means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ks_core.experiments.lifelong.look import Look
from ks_core.measurement.standing import Standing
from ks_core.statistics.means import Mean, mean_of, weighted_mean
from ks_core.statistics.pairs import Array

HALVED = math.log(2)
"""Nats that a fact's own object loses when its probability halves."""

TAIL = 0.1
"""The tail of the watched: what the tenth that loses most loses, on average."""

SCORES = (
    "p(new)",
    "retention",
    "efficacy",
    "paraphrase",
    "neighbourhood",
    "watched halved",
    "watched overtaken",
    "watched change",
    "watched tail",
    "log-perplexity rise",
    "growth",
)
"""In the order of tables.

p(new): of the edits that were read, each part by its size. retention: p(new) of the first quarter, or of those made so
far where they are fewer. efficacy, paraphrase, neighbourhood: shares where the wanted object is ahead of the other one.
watched halved: share of the watched facts whose own object has lost half of its probability or more, a token.
watched overtaken: share of those ahead of all rivals that have been overtaken. watched change: mean change of their
log-probability in nats. watched tail: mean change of the tenth that loses most. growth: ‖ΔW‖ / ‖W‖.
"""


def per_fact(look: Look, before: Look, text_lengths: Array, early: int) -> Mapping[str, tuple[Array, Array]]:
    """Numbers behind each score, and their weights: by edit, watched fact or text.

    Args:
        look: after some edits.
        before: the same of the unedited model, all edits read in the order of `look`.
        text_lengths: (texts,) predicted tokens of each.
        early: how many edits the first quarter has.
    """
    of_early, of_later = (np.exp(of.log_probability.numpy()) for of in (look.early, look.later))
    shares = {name: _ahead(getattr(look, name)) for name in ("early", "later", "paraphrase", "neighbourhood")}
    made = min(look.edits, early), max(0, look.edits - early)  # each part counts by the edits it stands for
    weights = np.repeat([made[of] / max(1, size) for of, size in enumerate((len(of_early), len(of_later)))],
                        [len(of_early), len(of_later)])  # fmt: skip
    return {
        "p(new)": (np.concatenate([of_early, of_later]), weights),
        "retention": _alike(of_early),
        "efficacy": (np.concatenate([shares["early"], shares["later"]]), weights),
        "paraphrase": _alike(shares["paraphrase"]),
        "neighbourhood": _alike(shares["neighbourhood"]),
        **{name: _alike(numbers) for name, numbers in per_watched(look.watched, before.watched).items()},
        "log-perplexity rise": (look.losses - before.losses, text_lengths),
        "growth": _alike(np.array([look.growth])),
    }


def per_watched(watched: Standing, before: Standing) -> Mapping[str, Array]:
    """Numbers behind the scores of watched facts, all of them or some: each now, and in the unedited model."""
    change = (watched.log_probability - before.log_probability).numpy()
    return {
        "watched halved": (change <= -HALVED).astype(np.float64),
        "watched overtaken": 1 - _ahead(watched)[(before.lead > 0).numpy()],
        "watched change": change,
        "watched tail": _tail(change),
    }


def _ahead(standing: Standing) -> Array:
    """1 where the own object is ahead, 0 where it is not, NaN where no token tells it from another one."""
    lead = standing.lead.numpy()
    return np.where(np.isfinite(lead), (lead > 0).astype(np.float64), np.nan)


def _tail(change: Array) -> Array:
    """(M,) numbers whose mean is that of the smallest tenth, and whose scatter is its error.

    q + min(x - q, 0) M / k, q the k-th smallest: the form of an expected shortfall as a mean over all (Rockafellar and
    Uryasev 2000). The scatter within the tenth alone would leave out that other facts would make another tenth.
    """
    if not len(change):
        return change
    size = max(1, round(TAIL * len(change)))
    edge = np.sort(change)[size - 1]
    return np.asarray(edge + np.minimum(change - edge, 0) * len(change) / size)


def _alike(numbers: Array) -> tuple[Array, Array]:
    return numbers, np.ones(len(numbers))


def scores_of(looks: Sequence[Look], before: Sequence[Look], text_lengths: Array, early: int) -> dict[str, Mean]:
    """Every score over the orders of a stream, with its error over orders and facts (or texts) together.

    The value is the mean over orders. Its error has two parts, in quadrature: the spread between orders over √R, and
    the mean of the errors over facts within an order. That is not divided, as orders share watched facts and texts; of
    edits, where they do not share all, it is too large rather than too small. `count` is the facts of one order.

    Args:
        looks: by order, after the same number of edits; one at least.
        before: by order, of the unedited model.
        text_lengths, early: as in `per_fact`.
    """
    by_order = [per_fact(look, first, text_lengths, early) for look, first in zip(looks, before, strict=True)]
    return {name: _over_orders([_mean(*of[name]) for of in by_order]) for name in SCORES}


def watched_scores(watched: Sequence[Standing], before: Standing) -> dict[str, Mean]:
    """The scores of watched facts alone, with errors as in `scores_of`.

    Args:
        watched: by order, all of them or some; of a model, of simulated edits or of a forecast; one at least.
        before: the same facts in the unedited model.
    """
    by_order = [per_watched(of, before) for of in watched]
    return {name: _over_orders([mean_of(of[name]) for of in by_order]) for name in by_order[0]}


def foretold_scores(looks: Sequence[Look], before: Look) -> dict[str, Mean]:
    """Retention, and the scores of watched facts, of a forecast: all that its looks have.

    Args:
        looks: by sample, after the same number of edits; one at least.
        before: of the unedited model.

    Returns:
        Means over samples. A sample that knows none of the edits made so far says nothing of retention.
    """
    kept = [np.exp(look.early.log_probability.numpy()) for look in looks if len(look.early.log_probability)]
    retention = _over_orders([mean_of(of) for of in kept]) if kept else mean_of(np.empty(0))
    return {"retention": retention, **watched_scores([look.watched for look in looks], before.watched)}


def _mean(numbers: Array, weights: Array) -> Mean:
    known = ~np.isnan(numbers)
    if len(set(weights.tolist())) < 2:
        return mean_of(numbers)
    return weighted_mean(numbers[known], weights[known])


def _over_orders(means: Sequence[Mean]) -> Mean:
    values = np.array([mean.value for mean in means])
    between = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    errors = [mean.error for mean in means if mean.count > 1]  # of one number, such as the weight's, orders alone tell
    within = float(np.mean(errors)) if errors else 0.0
    return Mean(float(values.mean()), math.hypot(between, within), max(mean.count for mean in means))

"""CounterFact's scores of a method at a checkpoint of a stream, each with its standard error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ks_core.experiments.streams.stream import Checkpoint, EditStreams
from ks_core.statistics.pairs import Array

QUARTER = 4
"""Retention is that of the first quarter of all edits, or of those made so far where they are fewer."""


@dataclass(frozen=True)
class ScoreOf:
    """A mean over facts or texts with its standard error; NaN where it is not defined."""

    value: float
    error: float
    count: int


def scores_of(streams: EditStreams, at: Checkpoint) -> dict[str, ScoreOf]:
    """CounterFact's scores and magnitudes at a checkpoint, retention, and what the text pays."""
    answers, first = at.answers, max(1, len(streams.edits) // QUARTER)
    rise, weights = at.losses - streams.losses_before, streams.text_lengths
    mean = float(weights @ rise / weights.sum())
    # Of a ratio of sums, linearised (Cochran, Sampling Techniques, 1977, ch. 6).
    error = (
        math.sqrt(float(((weights * (rise - mean)) ** 2).sum())) / float(weights.sum()) if len(rise) > 1 else math.nan
    )
    return {
        "efficacy": _mean(answers.rewrite.success()),
        "efficacy magnitude": _mean(answers.rewrite.magnitude()),
        "paraphrase": _mean(answers.paraphrase.success()),
        "paraphrase magnitude": _mean(answers.paraphrase.magnitude()),
        "neighbourhood": _mean(1 - answers.neighbourhood.success()),
        "neighbourhood magnitude": _mean(-answers.neighbourhood.magnitude()),
        "retention": _mean(answers.rewrite.magnitude()[:first]),
        "log-perplexity rise": ScoreOf(mean, error, len(rise)),
    }


def _mean(by_fact: Array) -> ScoreOf:
    known = by_fact[~np.isnan(by_fact)]
    count = len(known)
    value = float(known.mean()) if count else math.nan
    return ScoreOf(value, float(known.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan, count)

"""CounterFact's scores of a method at a checkpoint of a stream, each with its standard error."""

from __future__ import annotations

from ks_core.experiments.streams.stream import Checkpoint, EditStreams
from ks_core.statistics.means import Mean, mean_of, weighted_mean

QUARTER = 4
"""Retention is that of the first quarter of all edits, or of those made so far where they are fewer."""


def scores_of(streams: EditStreams, at: Checkpoint) -> dict[str, Mean]:
    """CounterFact's scores and magnitudes at a checkpoint, retention, and what the text pays."""
    answers, first = at.answers, max(1, len(streams.edits) // QUARTER)
    return {
        "efficacy": mean_of(answers.rewrite.success()),
        "efficacy magnitude": mean_of(answers.rewrite.magnitude()),
        "paraphrase": mean_of(answers.paraphrase.success()),
        "paraphrase magnitude": mean_of(answers.paraphrase.magnitude()),
        "neighbourhood": mean_of(1 - answers.neighbourhood.success()),
        "neighbourhood magnitude": mean_of(-answers.neighbourhood.magnitude()),
        "retention": mean_of(answers.rewrite.magnitude()[:first]),
        "log-perplexity rise": weighted_mean(at.losses - streams.losses_before, streams.text_lengths),
    }

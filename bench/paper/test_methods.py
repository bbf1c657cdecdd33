"""methods: what four methods of editing keep and lose after N edits (not a claim of the paper; what follows from it).

If interference between edits is what forgets them, a method without it (joint) must keep early edits better than the
paper's sequential one; if interference with other facts is what breaks them, a method that rules part of it out
(protected) must leave the neighbourhood more intact. Whether a stream costs the text at large is asked of the
sequential one. The figure and results.json have all four methods after 1, 2, 4, … N edits.

Definitions. `retention`: mean over the first quarter of the edits of p(new) - p(true) behind their own prompts (the
magnitude of CounterFact's efficacy), joint less sequential. `locality`: CounterFact's neighbourhood score, the share of
neighbourhood prompts where the true object stays the more probable, mean over facts, protected less sequential; no
protected fact is asked for. `perplexity`: the rise of the log-perplexity of held-out text by the sequential method.

Threshold: 0 for each, a direction. Errors are paired: the same facts, or texts, under both methods.
"""

import numpy as np
import pytest

from ks_core.claims.finding import Bound, Finding, of_one_number
from ks_core.experiments.streams.measure import StreamMeasurement
from ks_core.experiments.streams.scores import QUARTER
from ks_core.experiments.streams.stream import Checkpoint
from ks_core.measurement.behaviour import Answers
from ks_core.statistics.estimate import Replicates, mean_replicates


def retained(answers: Answers, edits: int) -> np.ndarray:
    return answers.rewrite.magnitude()[: max(1, edits // QUARTER)]


def kept_neighbourhood(answers: Answers) -> np.ndarray:
    return 1 - answers.neighbourhood.success()


def judge(measured: StreamMeasurement, suffix: str = "") -> list[Finding]:
    streams, n = measured.streams, len(measured.streams.edits)
    whole = {name: run[-1] for name, run in streams.runs.items()}

    def paired(of, first: str, second: str) -> Replicates:
        difference, of_half = (of(at[first].answers) - of(at[second].answers) for at in (whole, streams.of_half))
        known = ~np.isnan(difference)
        return mean_replicates(difference[known], measured.resamples, measured.seed, text=[of_half[known]])

    def rise(of: Checkpoint) -> np.ndarray:
        return of.losses - streams.losses_before

    retention = paired(lambda answers: retained(answers, n), "joint", "sequential")
    locality = paired(kept_neighbourhood, "protected", "sequential")
    perplexity = mean_replicates(
        rise(whole["sequential"]),
        measured.resamples,
        measured.seed,
        text=[rise(streams.of_half["sequential"])],
        weights=streams.text_lengths,
    )
    scores = {name: float(np.nanmean(kept_neighbourhood(at.answers))) for name, at in whole.items()}
    unedited = float(np.nanmean(kept_neighbourhood(streams.before)))
    rows = [
        ("retention", "p(new) - p(true) of the first quarter, joint less sequential", retention, "edits",
         f"sequential {retained(whole['sequential'].answers, n).mean():.2f}"),
        ("locality", "neighbourhood score, protected less sequential", locality, "edits",
         f"sequential {scores['sequential']:.2f}; unedited {unedited:.2f}"),
        ("perplexity", "rise of log-perplexity, sequential", perplexity, "texts", ""),
    ]  # fmt: skip
    counts = {"retention": max(1, n // QUARTER), "locality": n, "perplexity": len(streams.losses_before)}
    return [
        of_one_number(
            f"methods:{name}{suffix}",
            f"{quantity}, {n} edits",
            estimate,
            Bound("above", 0.0),
            layers=str(streams.layer),
            count=counts[name],
            counted=kind,
            reference=reference,
            grain=1 / max(1, len(streams.before.neighbourhood.fact)) if name == "locality" else 0.0,
        )
        for name, quantity, estimate, kind, reference in rows
    ]


@pytest.mark.paper
def test_methods(ks_stream, ks_record):
    ks_record(judge(ks_stream))


@pytest.mark.ks_slow
def test_methods_long(ks_long_stream, ks_record):
    ks_record(judge(ks_long_stream, "@long"), gate=False)

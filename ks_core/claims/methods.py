"""methods: what four methods of editing keep and lose after N edits (not a claim of the paper; what follows from it).

If interference between edits is what forgets them, a method without it (joint) must keep early edits better than the
paper's sequential one; if interference with bystanders is what breaks them, a method that rules part of it out
(protected) must leave the neighbourhood more intact. Whether a stream costs the text at large is asked of the
sequential one. The figure and results.json have all four methods after 1, 2, 4, … N edits.

Definitions. `retention`: mean over the first quarter of the edits of p(new) - p(true) after their own prompts (the
magnitude of CounterFact's efficacy), joint less sequential. `locality`: CounterFact's neighbourhood score, the share of
neighbourhood prompts where the true object stays the more probable, mean over facts, protected less sequential; no
protected fact is asked for. `perplexity`: the rise of the log-perplexity of held-out text by the sequential method.

Threshold: 0 for each, a direction. Errors are paired: the same facts, or texts, under both methods.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, Reference
from ks_core.claims.judging import judge_number
from ks_core.experiments.streams.measure import StreamMeasurement
from ks_core.experiments.streams.scores import QUARTER
from ks_core.measurement.behaviour import Answers
from ks_core.statistics.estimate import Replicates, mean_replicates
from ks_core.statistics.pairs import Array

RISES = Bound("above", 0.0)


def judge(measured: StreamMeasurement) -> list[Finding]:
    """Judge joint and protected edits against sequential ones, and what these cost the text."""
    return [judge_part(measured) for judge_part in (_retention, _locality, _perplexity)]


def _retention(measured: StreamMeasurement) -> Finding:
    streams = measured.streams
    first = max(1, len(streams.edits) // QUARTER)

    def retained(answers: Answers) -> Array:
        return answers.rewrite.magnitude()[:first]

    sequential = float(retained(streams.runs["sequential"][-1].answers).mean())
    return Finding(
        claim="methods",
        part="retention",
        quantity="p(new) - p(true) of the first quarter, joint less sequential",
        edits=len(streams.edits),
        judged=judge_number(_paired(measured, retained, "joint"), RISES),
        count=first,
        counted="edits",
        layers=(streams.layer,),
        references=(Reference("sequential", sequential),),
    )


def _locality(measured: StreamMeasurement) -> Finding:
    streams = measured.streams
    sequential = _neighbourhood(streams.runs["sequential"][-1].answers)
    asked = ~np.isnan(sequential)
    means = {"sequential": sequential, "unedited": _neighbourhood(streams.before)}
    return Finding(
        claim="methods",
        part="locality",
        quantity="neighbourhood score, protected less sequential",
        edits=len(streams.edits),
        judged=judge_number(_paired(measured, _neighbourhood, "protected"), RISES),
        count=int(asked.sum()),
        counted="edits with neighbourhood prompts",
        layers=(streams.layer,),
        references=tuple(Reference(name, float(of[asked].mean())) for name, of in means.items() if asked.any()),
        grain=1 / max(1, len(streams.before.neighbourhood.fact)),
    )


def _perplexity(measured: StreamMeasurement) -> Finding:
    streams = measured.streams
    whole, of_half = streams.runs["sequential"][-1], streams.of_half["sequential"]
    rise = mean_replicates(
        whole.losses - streams.losses_before,
        measured.resamples,
        measured.seed,
        text=[of_half.losses - streams.losses_before],
        weights=streams.text_lengths,
    )
    return Finding(
        claim="methods",
        part="perplexity",
        quantity="rise of log-perplexity, sequential",
        edits=len(streams.edits),
        judged=judge_number(rise, RISES),
        count=len(streams.losses_before),
        counted="texts",
        layers=(streams.layer,),
        unit="nats a token",
    )


def _neighbourhood(answers: Answers) -> Array:
    return 1 - answers.neighbourhood.success()


def _paired(measured: StreamMeasurement, of: Callable[[Answers], Array], method: str) -> Replicates:
    """Mean over facts of a number after all edits by a method, less the same by the sequential one."""
    streams = measured.streams
    whole = {name: run[-1] for name, run in streams.runs.items()}
    difference, of_half = (of(at[method].answers) - of(at["sequential"].answers) for at in (whole, streams.of_half))
    known = ~np.isnan(difference)
    if not known.any():
        return Replicates(np.array(np.nan), np.full(2, np.nan), np.full(1, np.nan))
    return mean_replicates(difference[known], measured.resamples, measured.seed, text=[of_half[known]])


SENTENCE = "joint edits keep early ones, protected edits keep the neighbourhood, sequential ones cost the text"
CLAIM = Claim("methods", SENTENCE, "stream", judge, short="methods as promised")

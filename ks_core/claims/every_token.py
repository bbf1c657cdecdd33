"""every-token: an edit is read at every token of a prompt, not only at the subject (not a claim of the paper, whose
theory looks at subjects' keys).

An edited weight acts wherever a prompt's tokens have a key, and each of those keys overlaps with the edited ones. All
edits of a stream are let act on the watched facts' prompts (facts that no edit is for) in one place at a time, with no
weight touched: at every token, as the edited weight does; at the last token of the subject alone, where P is taken; at
all other tokens.

Definitions. `halved`: share of the watched facts whose own object loses half of its probability or more, edits acting
everywhere less at the subject alone. `share`: of the sum of squares of the changes of their log-probabilities, the part
that the change at the subject alone explains as it stands,

    1 - Σ (all - subject)² / Σ all²

which is 1 where the subject is all there is, 0 for a forecast of no change, and below 0 for a worse one.

Thresholds. `halved`: 0, a direction. `share`: one half: what the paper's theory looks at is called most of it when it
explains more than half. References: the same of all other tokens; Spearman's correlation of the loss with the largest
|P| from an edited fact, which is what P at the subject tells alone.

Errors: watched facts are drawn anew; the order of the edits is one.
"""

from __future__ import annotations

import numpy as np

from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound, Finding, NotApplicable, Reference
from ks_core.claims.judging import judge_number
from ks_core.experiments.lifelong.measurement import Acting, Lifelong
from ks_core.experiments.lifelong.scores import HALVED
from ks_core.statistics.estimate import Replicates, derive, mean_replicates
from ks_core.statistics.pairs import Array
from ks_core.statistics.ranks import rank_correlation

RISES = Bound("above", 0.0)
MOST = Bound("above", 0.5)


def judge(measured: Lifelong) -> list[Finding] | NotApplicable:
    """Judge where edits act, for each method that was looked at."""
    if not measured.acting:
        return NotApplicable("edits were let act nowhere")
    return [judge_part(measured, acting) for acting in measured.acting for judge_part in (_halved, _share)]


def _halved(measured: Lifelong, acting: Acting) -> Finding:
    lost = {place: change <= -HALVED for place, change in _changes(measured, acting).items()}
    more = lost["everywhere"].astype(np.float64) - lost["at the subject"]
    estimate = mean_replicates(more, measured.resamples, measured.seed)
    references = tuple(Reference(place, float(of.mean())) for place, of in lost.items())
    quantity = "watched facts whose probability halves, edits acting everywhere less at the subject alone"
    return _finding(measured, acting, "halved", quantity, estimate, RISES, references)


def _share(measured: Lifelong, acting: Acting) -> Finding:
    changes = _changes(measured, acting)
    everywhere = changes["everywhere"]
    references = (
        Reference("all other tokens alone", float(_explained(measured, everywhere, changes["elsewhere"]).value)),
        Reference("rank correlation of loss and |P|", rank_correlation(acting.largest_share, -everywhere)),
    )
    estimate = _explained(measured, everywhere, changes["at the subject"])
    quantity = "part of the squared change of watched facts that edits at the subject alone explain"
    return _finding(measured, acting, "share", quantity, estimate, MOST, references)


def _changes(measured: Lifelong, acting: Acting) -> dict[str, Array]:
    """(M,) changes of the watched facts' log-probabilities in nats, by where the edits act."""
    before = measured.before[0].watched.log_probability
    places = {"everywhere": acting.everywhere, "at the subject": acting.at_subject, "elsewhere": acting.elsewhere}
    return {name: (of.log_probability - before).numpy() for name, of in places.items()}


def _explained(measured: Lifelong, everywhere: Array, one_place: Array) -> Replicates:
    left, whole = (
        mean_replicates(numbers**2, measured.resamples, measured.seed)
        for numbers in (everywhere - one_place, everywhere)
    )
    return derive(lambda left, whole: 1 - left / whole, left, whole)


def _finding(
    measured: Lifelong,
    acting: Acting,
    part: str,
    quantity: str,
    estimate: Replicates,
    bound: Bound,
    references: tuple[Reference, ...],
) -> Finding:
    return Finding(
        claim="every-token",
        part=part,
        variant=acting.method,
        quantity=quantity,
        method=acting.method,
        edits=acting.edits,
        judged=judge_number(estimate, bound),
        count=len(acting.largest_share),
        counted="watched facts",
        layers=(measured.plan.layer,),
        references=references,
    )


SENTENCE = "an edit is read at every token, not only at the subject"
CLAIM = Claim("every-token", SENTENCE, "lifelong", judge, short="edits act at every token")

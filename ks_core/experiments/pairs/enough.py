"""How much text is enough: twice as much, until what more of it would change is small beside what other facts would."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ks_core import arguments, defaults
from ks_core.errors import InputError, RankDeficientError, TooLittleTextError
from ks_core.experiments.pairs.layer import analyse
from ks_core.experiments.pairs.statistics import pair_statistics
from ks_core.formatting import shown
from ks_core.measurement.moments.passes import agreed
from ks_core.measurement.moments.ranks import Ranks
from ks_core.measurement.moments.second_moments import PARTS, SecondMoments
from ks_core.measurement.whitening import TextWhitening
from ks_core.statistics.bootstrap import fact_weights
from ks_core.statistics.pairs import Array

STATISTICS = ("std", "kurtosis", "share_above")
"""Of P: its spread, its shape and how much of it is large, which the paper's claims are about."""

SHARE = 0.5
"""Of the facts error, at most, that the text error may be. Both add in quadrature: at a half, all the text in the world
would shrink the error by 11 %."""

FLOOR = 10
"""Tokens for each dimension of the keys at least, rounded up to a power of two: with fewer, halves of the text are both
so far from the second moment that they may agree with each other and not with it."""

MOST = 1 << 24
"""Tokens at which the search gives up where the text does not end before."""


@dataclass(frozen=True, eq=False)
class Step:
    """What so much text gave.

    Attributes:
        values, facts_errors, text_errors: by statistic of P, (layers,); empty where a second moment had no inverse
        singular: the message of that, empty where all had one
    """

    tokens: int
    values: Mapping[str, Array]
    facts_errors: Mapping[str, Array]
    text_errors: Mapping[str, Array]
    singular: str = ""

    def share(self, statistic: str) -> float:
        """The text error over the facts error, root mean squares over the layers where both are defined; else NaN.

        Over all layers together, because of one layer the text error is one difference of two halves: it is near 0 by
        chance in some, and the largest of thirty is large by chance.
        """
        if self.singular:
            return float("nan")
        text, facts = self.text_errors[statistic], self.facts_errors[statistic]
        known = np.isfinite(text) & np.isfinite(facts)
        if not (facts[known] > 0).any():
            return float("nan")
        return float(np.sqrt((text[known] ** 2).mean() / (facts[known] ** 2).mean()))


@dataclass(frozen=True, eq=False)
class EnoughText:
    """Second moments over as much text as was found to be enough, and how it was found.

    Attributes:
        trace: with growing amounts of text
        reached: whether it was enough; where not, the text or `most` came first
        ended: the message of the text that ended before, empty where it did not
    """

    moments: SecondMoments
    trace: tuple[Step, ...]
    layers: tuple[int, ...]
    statistics: tuple[str, ...]
    share: float
    reached: bool
    ended: str = ""


def enough_text(
    collect: Callable[[int], SecondMoments],
    keys: Mapping[int, Tensor],
    *,
    statistics: Sequence[str] = STATISTICS,
    share: float = SHARE,
    floor: int = FLOOR,
    most: int = MOST,
    ridge: float = 0.0,
    resamples: int = defaults.RESAMPLES,
    seed: int = 0,
    ranks: Ranks | None = None,
) -> EnoughText:
    """Collect second moments over twice as much text, and again, until the error over text is small enough.

    What was summed is summed once: each amount goes on where the last one ended.

    Args:
        collect: second moments of the layers of `keys` over so many tokens.
        keys: by layer, (n, d_key) of the facts that statistics are of.
        statistics: of P, names as in `summarise`; each has to be there.
        share: of the facts error, that the text error may be at most, root mean squares over layers.
        floor: tokens for each dimension of the keys at least.
        most: tokens at most.
        ridge, resamples, seed: of the whitening and the bootstrap over facts.
        ranks: this process among those that collect together; the first of them alone looks and keeps a trace.

    Raises:
        InputError: a share or floor of no use, or unknown statistics.
        TooLittleTextError: the text has fewer tokens than the floor asks for.
    """
    _check(statistics, share, floor)
    d_key = next(iter(keys.values())).shape[1]
    ranks = ranks or Ranks.alone()
    tokens, trace, reached, ended = _first(floor * d_key), list[Step](), False, ""
    moments = collect(tokens)
    while True:
        with agreed(ranks):
            if ranks.is_first:
                trace.append(_step(moments, keys, statistics, ridge, resamples, seed))
                reached = all(trace[-1].share(statistic) <= share for statistic in statistics)
        if ranks.number_of_first(int(reached)) or 2 * tokens > most:
            break
        tokens *= 2
        try:
            moments = collect(tokens)
        except TooLittleTextError as error:
            ended = str(error)
            break
    layers = tuple(sorted(keys))
    return EnoughText(moments, tuple(trace), layers, tuple(statistics), share, reached, ended)


def _first(least: int) -> int:
    """The power of two from there on: amounts that others collected too, whose files are shared."""
    return max(PARTS, 1 << (least - 1).bit_length())


def _step(
    moments: SecondMoments,
    keys: Mapping[int, Tensor],
    statistics: Sequence[str],
    ridge: float,
    resamples: int,
    seed: int,
) -> Step:
    facts = len(next(iter(keys.values())))
    try:
        pairs = analyse(keys, facts, TextWhitening(moments, ridge))
    except RankDeficientError as error:  # too little text for an inverse is not enough
        return Step(moments.provenance.tokens, {}, {}, {}, singular=str(error))
    of_p = pair_statistics(pairs, fact_weights(facts, resamples, seed), matrices=("P",))["P"]
    return Step(
        tokens=moments.provenance.tokens,
        values={name: of_p[name].value for name in statistics},
        facts_errors={name: of_p[name].facts_error for name in statistics},
        text_errors={name: of_p[name].text_error for name in statistics},
    )


def _check(statistics: Sequence[str], share: float, floor: int) -> None:
    known = ("mean", "std", "rms", "mode", "mode_density", "skewness", "kurtosis", "share_above", "tail_ratio")
    if unknown := [name for name in statistics if name not in known] or (not statistics and ["none"]):
        raise InputError(f"statistics has {shown(unknown)}; expected some of {', '.join(known)}")
    if not arguments.real_number("share", share, "a positive number") > 0:
        raise InputError(f"share is {shown(share)}; expected a positive number, such as 0.5")
    if arguments.whole_number("floor", floor, 1) < 2:
        raise InputError(f"floor is {floor}; expected 2 or more tokens a dimension: half the text needs full rank")

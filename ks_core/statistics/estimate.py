"""A number that carries its sampling errors with it: over the facts and over the text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ks_core.errors import InputError
from ks_core.statistics.pairs import Array

COVERAGE = 0.95
"""Of the intervals, over facts."""

TEXT_REACH = 2.0
"""How many text errors an interval is widened by: two standard errors, were the text error well known.

It comes from one difference of two halves and is not. 95 % with its one degree of freedom would take 12.7 of them
(Student's t), and every number would be undecided; the price of two is stated at `Replicates.interval`.
"""


@dataclass(frozen=True, eq=False)
class Replicates:
    """A measured number (or an array of them, one per layer) and the same number from other samples.

    The two errors answer two questions. `facts_error`: how far would it move with other facts? `text_error`: how far
    is it from what more text would give? A claim is judged by both, added in quadrature.

    A replicate that is undefined (NaN, or infinite) is not dropped: dropping the samples for which a statistic fails
    would understate the error. It makes the error NaN, `undefined` counts it, and whoever judges must call the number
    undecided.

    Attributes:
        value: (*S), from all facts and all the text
        facts: (B, *S), B >= 2, from bootstrap samples of the facts and all the text
        text: (H, *S), from all facts and each half of the text; H = 0 for a number that no text enters, such as Q's

    Example:
        >>> found = Replicates(np.array(5.0), facts=np.array([4.0, 6.0]), text=np.array([4.0, 5.0]))
        >>> float(found.facts_error), float(found.text_error), float(found.error)
        (1.414..., 0.707..., 1.581...)
    """

    value: Array
    facts: Array
    text: Array

    def __post_init__(self) -> None:
        """Convert to float64 and check the shapes."""
        for name in ("value", "facts", "text"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        shape = self.value.shape
        if self.facts.shape[1:] != shape or self.text.shape[1:] != shape or 0 in (self.facts.ndim, self.text.ndim):
            raise InputError(
                f"value has shape {shape}, facts {self.facts.shape} and text {self.text.shape}; "
                f"expected facts (B, *{shape}) and text (H, *{shape})"
            )
        if len(self.facts) < 2:
            raise InputError(f"got {len(self.facts)} bootstrap replicates; a standard deviation needs at least 2")

    @property
    def facts_error(self) -> Array:
        """Standard error over facts: the standard deviation of the bootstrap replicates (ddof 1); shape S."""
        return _where_finite(self.facts, lambda replicates: replicates.std(axis=0, ddof=1))

    @property
    def text_error(self) -> Array:
        """Standard error over text, from how far the number moves as the text doubles; shape S.

            sqrt(mean over halves of (value - half)^2)

        Sampling noise of variance s^2 / N at N tokens: the whole is nearly the mean of two independent halves, each
        of variance 2 s^2 / N, so the expected square of the move is 2 s^2 / N - s^2 / N = s^2 / N, the variance of
        `value`. A bias c / N: a half has 2 c / N, so the move is c / N, the bias that `value` still has. One number
        is thus the right size for both. A bias that falls more slowly than 1 / N is understated.
        """
        if not len(self.text):
            return np.zeros(self.value.shape)
        moves = self.text - np.where(np.isfinite(self.value), self.value, np.nan)
        return _where_finite(moves, lambda move: np.sqrt((move**2).mean(axis=0)))

    @property
    def error(self) -> Array:
        """Both errors in quadrature, sqrt(facts_error^2 + text_error^2); shape S; NaN where anything is undefined."""
        return np.hypot(self.facts_error, self.text_error)

    @property
    def interval(self) -> tuple[Array, Array]:
        """Interval of one number, low and high end, each of shape S: 95 % over facts, widened for text.

        Over facts the ends are percentiles of the bootstrap replicates (Efron and Tibshirani, ch. 13), because the
        replicates of a kurtosis are far from Gaussian: bounded below, with a long tail above, so that `value` ± two
        standard deviations would reach below what any sample can give. On each side the distance from `value` to the
        end is then widened, in quadrature, by twice the text error. NaN where anything is undefined.

        This is NOT a 95 % interval over text. The text error is the difference of two halves, one degree of freedom:
        where text noise is all there is, twice the text error reaches the truth with probability (2/pi) atan 2 = 70 %.
        """
        tail = (1 - COVERAGE) / 2
        low, high = (_where_finite(self.facts, partial(np.quantile, q=q, axis=0)) for q in (tail, 1 - tail))
        text = TEXT_REACH * self.text_error
        below, above = np.maximum(self.value - low, 0), np.maximum(high - self.value, 0)
        return self.value - np.hypot(below, text), self.value + np.hypot(above, text)

    @property
    def simultaneous(self) -> tuple[Array, Array]:
        """Intervals of all entries at once, one per layer: low and high ends, each of shape S.

            value ± c facts_error,    c = 95 % quantile over samples b of max over layers l of |x_bl - x_l| / error_l

        With probability 95 % over facts *every* layer's true number lies in its interval. "Does not hold in every
        layer" rests on the worst of all layers, and needs this: were 30 independent layers all exactly at the bound,
        one of their pointwise intervals would lie beyond it by chance in half of all data sets. What the layers share
        is used: the more alike they move from sample to sample, the closer c is to that of one layer.

        Text enters as in `interval`, with the same reservation, layer by layer. No end is inside that of `interval`,
        whose percentiles follow the skew that ± c errors do not. NaN where anything is undefined. (The max-t bootstrap:
        Romano and Wolf, Econometrica 73, 2005.)
        """
        reach = np.hypot(self._largest_deviation() * self.facts_error, TEXT_REACH * self.text_error)
        low, high = self.interval
        return np.minimum(low, self.value - reach), np.maximum(high, self.value + reach)

    def _largest_deviation(self) -> float:
        """Quantile of the largest standardised deviation of a bootstrap sample; 0 if no entry varies."""
        error = self.facts_error
        # Entries without an error, or undefined ones, have no standardised deviation. The standard deviation of B
        # equal numbers is not always 0: their sum is rounded by up to B eps of it.
        varies = error > len(self.facts) * np.finfo(np.float64).eps * np.abs(self.value)
        if not varies.any():
            return 0.0
        deviations = np.abs(self.facts[:, varies] - self.value[varies]) / error[varies]
        return float(np.quantile(deviations.max(axis=1), COVERAGE))

    @property
    def bias(self) -> Array:
        """Bootstrap estimate of the bias over facts, mean of the replicates minus `value`; shape S.

        Reported, not subtracted: for kurtosis the correction is noisier than the bias.
        """
        return _where_finite(self.facts, lambda replicates: replicates.mean(axis=0)) - self.value

    @property
    def undefined(self) -> NDArray[np.intp]:
        """How many of the value, the bootstrap replicates and the halves are NaN or infinite; shape S."""
        everything = np.concatenate([self.value[None], self.facts, self.text])
        counts: NDArray[np.intp] = np.asarray(np.count_nonzero(~np.isfinite(everything), axis=0))
        return counts


def mean_replicates(
    numbers: Array, resamples: int, seed: int, *, text: Sequence[Array] = (), weights: Array | None = None
) -> Replicates:
    """The mean of one number per fact (or per text), with its error over facts.

    Args:
        numbers: (n,).
        resamples: B bootstrap samples of the n.
        seed: of the generator; the same for numbers of the same facts, so that differences of means are paired.
        text: the same numbers from other parts of the text, (n,) each.
        weights: (n,), how much each counts; equally by default.

    Returns:
        Replicates of shape (). NaN among the numbers makes everything NaN; of one number the error is NaN, as nothing
        is known of how far another would be.

    Raises:
        InputError: no numbers, or fewer than two resamples.

    Example:
        >>> found = mean_replicates(np.array([1.0, 3.0]), resamples=200, seed=0)
        >>> float(found.value), bool(0.6 < found.facts_error < 0.8)  # sqrt(1 / 2)
        (2.0, True)
    """
    n = len(numbers)
    if n == 0:
        raise InputError("got no numbers to take the mean of; expected at least one")
    own = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples) * own
    facts = drawn @ numbers / drawn.sum(axis=1)
    return Replicates(
        np.array(own @ numbers / own.sum()),
        facts=facts if n > 1 else np.full_like(facts, np.nan),
        text=np.array([own @ half / own.sum() for half in text]),
    )


def derive(function: Callable[..., Array | float], *replicates: Replicates) -> Replicates:
    """Apply a function to measured numbers and carry their errors through it, without linearising.

    The function is applied to the values, to each bootstrap sample and to each half of the text, so that what the
    arguments have in common (the same facts drawn, the same half) cancels where it should.

    Args:
        function: takes as many arrays as there are `replicates`, each of its own shape S; returns a number or an array
            of one fixed shape. A difference of layers, a ratio, the minimum over layers, …
        replicates: measured with the same fact weights and the same halves, in the same order. One with H = 0 keeps
            its value in each half of the others.

    Returns:
        The function's values, with their replicates.

    Raises:
        InputError: no argument, or different numbers of bootstrap samples or halves.

    Example:
        >>> samples = np.array([[8.0, 1.5], [10.0, 2.5]])
        >>> kurtosis = Replicates(np.array([9.0, 2.0]), facts=samples, text=samples)
        >>> drop = derive(lambda layers: layers[0] - layers[-1], kurtosis)
        >>> float(drop.value), float(drop.facts_error)
        (7.0, 0.707...)
    """
    resamples = {len(item.facts) for item in replicates}
    halves = {len(item.text) for item in replicates} - {0}
    if len(resamples) != 1 or len(halves) > 1:
        raise InputError(
            f"got {sorted(resamples)} bootstrap samples and {sorted(halves)} halves of text; expected one number of "
            "each: the arguments must come from the same fact weights and the same text"
        )
    text = [_text_or_value(item, max(halves, default=0)) for item in replicates]
    with np.errstate(divide="ignore", invalid="ignore"):  # 0 / 0 in a sample is an undefined replicate, and counted
        value = np.asarray(function(*(item.value for item in replicates)), dtype=np.float64)
        facts = [np.asarray(function(*sample)) for sample in zip(*(item.facts for item in replicates), strict=True)]
        halves_of_text = [function(*half) for half in zip(*text, strict=True)]
    return Replicates(value, np.stack(facts), np.array(halves_of_text, dtype=np.float64).reshape(-1, *value.shape))


def _text_or_value(item: Replicates, halves: int) -> Array:
    return item.text if len(item.text) else np.broadcast_to(item.value, (halves, *item.value.shape))


def _where_finite(replicates: Array, statistic: Callable[[Array], Array]) -> Array:
    """Apply a statistic along the first axis; NaN wherever one replicate is not finite (and no warning for it)."""
    finite = np.isfinite(replicates)
    return np.where(finite.all(axis=0), statistic(np.where(finite, replicates, 0.0)), np.nan)

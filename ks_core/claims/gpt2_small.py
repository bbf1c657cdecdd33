"""A measurement of GPT2-small held against what the paper's authors published, each number within a stated error.

Q needs no text: it is compared to 1e-3 and tells whether the keys are the authors' keys (facts, their order, token,
layer). P needs the second moment of a text; each number of it is compared within the error of reading the published
one off a plot, and of the two texts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ks_core.claims.comparison import Comparison
from ks_core.data.corpus import PACKAGED_TEXTS
from ks_core.data.published_numbers import PublishedEntry, PublishedNumbers, known_case_ids
from ks_core.experiments.pairs.layer import LayerPairs
from ks_core.experiments.pairs.measure import Measurement
from ks_core.experiments.request.options import set_by
from ks_core.experiments.request.selection import PUBLISHED_RULE
from ks_core.statistics.estimate import Replicates
from ks_core.statistics.pairs import Array, off_diagonal
from ks_core.statistics.summaries import SHARE_THRESHOLD

Q_RELATIVE = 1e-3
"""Of every number of Q. Kernels and libraries move a float32 forward pass by far less; the key of another token, fact
or layer moves it by far more."""

TEXT_REACH = 4.0
"""Errors over text that P may be off by. About 120 numbers are compared, of which the worst of a Gaussian strays by 3.
The error itself comes from two halves of one text and is not well known, hence one more."""

_TEXT_WHY = f"{TEXT_REACH:g} errors over both texts"

PUBLISHED_TOKENS = 10_000_000
"""Tokens behind the published second moment, at least: 100,000 articles, taken as 100 tokens each on average (whole
articles, cut at 1024, have several hundred). Our own error over text, carried from our tokens to these, is theirs."""

FEWEST_TOKENS = 1_000_000
"""Tokens that P must be measured with: a tenth of theirs, so that our error over text is at most three times theirs."""

COLOURS = 256
"""Steps of the colour scale of a plotted matrix. How the means of Q were read off the plots is not recorded; were all
colours read alike wrongly, then by half a step at most."""

ROUNDED = {"mean of P": 5e-5, "std of P": 5e-5, "share of P above 0.1": 5e-4, "mean of Q": 0.05, "diagonal of Q": 0.05}
"""Half a unit of the last digit that was written down."""


def not_comparable(measurement: Measurement, published: PublishedNumbers) -> str | None:
    """Why a measurement cannot be held against the published numbers at all; None if it can be."""
    settings, found = measurement.settings, measurement.selection
    if found.rule != PUBLISHED_RULE:
        return (
            f"model is {settings.model} and facts are {found.measured.name}; expected {published.model} with "
            f"CounterFact, all {len(known_case_ids())} records of the published list in it "
            f"(in pytest: --ks-model {published.model} --ks-facts counterfact.json)"
        )
    if measurement.num_facts != published.fact_count:
        return f"{measurement.num_facts} facts were measured; expected {published.fact_count} {set_by('num_facts')}"
    if settings.dtype not in ("float32", "float64"):
        return f"forward passes are in {settings.dtype}; expected float32, as the authors' {set_by('dtype')}"
    return None


def text_not_comparable(measurement: Measurement) -> str | None:
    """Why P in particular cannot be: another population of text is no sampling error. None if it can be."""
    settings, corpus = measurement.settings, str(measurement.provenance["corpus"])
    if "wikipedia" not in corpus.lower() or corpus in PACKAGED_TEXTS:
        return (
            f"text is {corpus}; expected whole articles of English Wikipedia, in a dataset, file or folder that has "
            "wikipedia in its name (corpus; in pytest: --ks-corpus hub:wikimedia/wikipedia:20231101.en:train)"
        )
    if measurement.provenance["tokens"] < FEWEST_TOKENS:
        return (
            f"{measurement.provenance['tokens']:,} tokens were read; expected at least {FEWEST_TOKENS:,}: with fewer "
            f"the error over text would let anything pass {set_by('tokens')}"
        )
    if settings.ridge != 0:
        return f"second moments have a ridge of {settings.ridge:g}; expected none, as in the paper {set_by('ridge')}"
    if settings.longest_text != 1024:
        return (
            f"texts are cut at {settings.longest_text} tokens; expected 1024, as the authors' {set_by('longest_text')}"
        )
    return None


def compare_inner_products(measurement: Measurement, published: PublishedNumbers) -> tuple[Comparison, ...]:
    """Q, and that the facts are the published ones.

    Args:
        measurement: for which `not_comparable` is None.
        published: one number per layer of the model, of which the measured layers are compared.

    Returns:
        Statistics layer by layer; where layer 0 was measured, also its largest and its printed entries.
    """
    return tuple(_compared_q(measurement, published))


def compare_superposition(measurement: Measurement, published: PublishedNumbers) -> tuple[Comparison, ...]:
    """P; as `compare_inner_products`, and `text_not_comparable` must be None.

    The published mode density is left out: the bandwidth of its kernel was not published.
    """
    return tuple(_compared_p(measurement, published))


def _compared_q(measurement: Measurement, published: PublishedNumbers) -> Iterator[Comparison]:
    facts = measurement.selection.measured.facts
    named = published.subjects.items()
    others = tuple(index for index, subject in named if facts[index].subject != subject)
    yield Comparison(
        "subjects",
        *(float(len(named) - len(others)), float(len(named)), 0.0),
        "those of the largest pairs, counted; the facts and their order are the published ones, or they are not",
        facts=others,
    )
    matrices = [pairs.matrices["Q"] for pairs in measurement.pairs]
    q = measurement.statistics["Q"]
    kurtosis = q["kurtosis"].value
    # entries that are off by r of themselves move a kurtosis k, m4 / m2^2 - 3, by about r (k + 3)
    yield from _by_layer(
        measurement, "kurtosis of Q", kurtosis, published.q_kurtosis,
        published.q_kurtosis_error + Q_RELATIVE * (kurtosis + 3),
        f"digitised to {published.q_kurtosis_error:g}, {Q_RELATIVE:g} of the entries",
    )  # fmt: skip
    half_step = np.array([np.ptp(of_layer) for of_layer in matrices]) / (2 * COLOURS)
    diagonals = np.array([np.diag(of_layer).mean() for of_layer in matrices])
    for name, values, theirs in (
        ("mean of Q", q["mean"].value, published.q_offdiagonal_mean),
        ("diagonal of Q", diagonals, published.q_diagonal_mean),
    ):
        tolerances = ROUNDED[name] + half_step + Q_RELATIVE * np.abs(values)
        why = f"rounded to {ROUNDED[name]:g}, half a step of {COLOURS} colours, {Q_RELATIVE:g} of the mean"
        yield from _by_layer(measurement, name, values, theirs, tolerances, why)
    if 0 in measurement.layers:
        first = matrices[measurement.layers.index(0)]
        tolerance = Q_RELATIVE * np.abs(first)
        why = f"{Q_RELATIVE:g} of the entry"
        yield from _entries("largest pairs of Q", published.q_layer0_largest, first, tolerance, why)
        yield from _entries("printed entries of Q", published.q_layer0_printed, first, tolerance, why)
        below = np.tril(np.ones(first.shape, dtype=bool))  # Q is symmetric: each pair counts once
        yield _other_pairs("other pairs of Q", published.q_layer0_largest, first, tolerance, why, left_out=below)


def _compared_p(measurement: Measurement, published: PublishedNumbers) -> Iterator[Comparison]:
    of_p, read = measurement.statistics["P"], published.p_digitised_error
    step = f"an entry digitised to {read:g}"
    extremes = {name: _extreme(measurement.pairs, function) for name, function in (("min", np.min), ("max", np.max))}
    places = list(measurement.layers)
    spread = (np.array(published.p_max) - np.array(published.p_min))[places]
    near = np.array([_share_near(pairs.matrices["P"], SHARE_THRESHOLD, read) for pairs in measurement.pairs])
    # name, ours, theirs, error of reading it, and why
    rows: list[tuple[str, Replicates, tuple[float, ...], Array | float, str]] = [
        ("mean of P", of_p["mean"], published.p_mean, ROUNDED["mean of P"] + read, f"{step}, all alike at worst"),
        ("std of P", of_p["std"], published.p_std, ROUNDED["std of P"] + of_p["std"].value * 2 * read / spread,
         f"{step}, and so the scale to twice that between the smallest and the largest"),
        ("kurtosis of P", of_p["kurtosis"], published.p_kurtosis, published.p_kurtosis_error,
         f"digitised to {published.p_kurtosis_error:g}"),
        ("share of P above 0.1", of_p["share_above"], published.p_share_above_tenth,
         ROUNDED["share of P above 0.1"] + near, f"{step}: as many as are that near 0.1"),
        ("smallest of P", extremes["min"], published.p_min, read, step),
        ("largest of P", extremes["max"], published.p_max, read, step),
    ]  # fmt: skip
    for name, ours, theirs, digitised, why in rows:
        error = _pooled(ours)
        tolerances = digitised + _text_tolerance(measurement, error)
        yield from _by_layer(measurement, name, ours.value, theirs, tolerances, f"{why}; {_TEXT_WHY}", error)
    if 0 in measurement.layers:
        first = measurement.pairs[measurement.layers.index(0)]
        p, error, noise = first.matrices["P"], _entry_errors(first), published.p_layer0_printed_error
        tolerance = noise + _text_tolerance(measurement, error)
        why = f"float32 noise of {noise:g} in the published entry; {_TEXT_WHY}"
        yield from _entries("largest pairs of P", published.p_layer0_largest, p, tolerance, why, error)
        off = tuple(entry for entry in published.p_layer0_printed if entry.row != entry.column)  # the diagonal is 1
        yield from _entries("printed entries of P", off, p, tolerance, why, error)
        diagonal = np.eye(len(p), dtype=bool)
        yield _other_pairs("other pairs of P", published.p_layer0_largest, p, tolerance, why, error, left_out=diagonal)


def _by_layer(
    measurement: Measurement,
    name: str,
    ours: Array,
    theirs: Sequence[float],
    tolerances: Array,
    why: str,
    errors: Array | None = None,
) -> Iterator[Comparison]:
    """One comparison a measured layer; `ours`, `tolerances` and `errors` are (layers,), `theirs` one per layer of the
    model."""
    over_text = np.zeros(len(ours)) if errors is None else errors
    for layer, value, tolerance, error in zip(measurement.layers, ours, tolerances, over_text, strict=True):
        numbers = float(value), theirs[layer], float(tolerance)
        yield Comparison(name, *numbers, why, layer=layer, text_error=float(error))


def _entries(
    name: str,
    entries: Sequence[PublishedEntry],
    matrix: Array,
    tolerance: Array,
    why: str,
    errors: Array | None = None,
) -> Iterator[Comparison]:
    """One comparison for each published entry of layer 0; matrix, tolerance and errors are (n, n).

    Their order needs no comparison of its own: where all values agree, two can have changed places only if the
    published ones are within their tolerances of each other.
    """
    for entry in entries:
        at = entry.row, entry.column
        error = 0.0 if errors is None else float(errors[at])
        numbers = float(matrix[at]), entry.value, float(tolerance[at])
        yield Comparison(name, *numbers, why, layer=0, facts=at, text_error=error)


def _other_pairs(
    name: str,
    largest: Sequence[PublishedEntry],
    matrix: Array,
    tolerance: Array,
    why: str,
    errors: Array | None = None,
    *,
    left_out: NDArray[np.bool_],
) -> Comparison:
    """That no entry which is not among the published largest is larger than the least of these: the worst one."""
    bound = min(entry.value for entry in largest)
    listed = left_out.copy()
    for entry in largest:
        listed[entry.row, entry.column] = True
    beyond = np.where(listed, -np.inf, matrix - bound - tolerance)
    row, column = (int(index) for index in np.unravel_index(np.argmax(beyond), beyond.shape))
    error = 0.0 if errors is None else float(errors[row, column])
    measured, allowed = float(matrix[row, column]), float(tolerance[row, column])
    return Comparison(name, measured, bound, allowed, why, layer=0, facts=(row, column), text_error=error, at_most=True)


def _text_tolerance(measurement: Measurement, error: Array) -> Array:
    """What both texts allow: `TEXT_REACH` of our error and theirs in quadrature, theirs being ours at their tokens."""
    return TEXT_REACH * error * math.sqrt(1 + measurement.provenance["tokens"] / PUBLISHED_TOKENS)


def _pooled(of: Replicates) -> Array:
    """Error over text by layer, (layers,): its own, or that of all layers relative to their values if that is larger.

    Two halves that happen to be alike would otherwise make the error of a layer, one difference of two numbers, as
    small as one likes.
    """
    own, size = of.text_error, float(np.linalg.norm(of.value))
    relative = float(np.linalg.norm(own)) / size if size > 0 else 0.0
    pooled: Array = np.maximum(own, relative * np.abs(of.value))
    return pooled


def _entry_errors(pairs: LayerPairs) -> Array:
    """Error over text of each entry of P, (n, n): its own, or what all entries say if that is larger.

    P_ij is the whitened cosine times |k_j| / |k_i|, and a cosine's sampling noise is much the same for all pairs (that
    of a correlation coefficient, the larger the nearer it is to 0). So the root mean square over pairs, times these
    lengths, is an error that does not depend on the luck of one entry.
    """
    noise = [off_diagonal(half["whitened_cosine"] - pairs.matrices["whitened_cosine"]) for half in pairs.halves]
    lengths = pairs.whitened_norms
    pooled = math.sqrt(float(np.mean(np.square(noise)))) * lengths[None, :] / lengths[:, None]
    own = _over_text(pairs.matrices["P"], [half["P"] for half in pairs.halves]).text_error
    larger: Array = np.maximum(own, pooled)
    return larger


def _extreme(pairs: Sequence[LayerPairs], function: Callable[[Array], float]) -> Replicates:
    """Smallest or largest off-diagonal entry of P by layer, with its halves."""
    value = np.array([function(off_diagonal(of.matrices["P"])) for of in pairs])
    halves = [np.array([function(off_diagonal(of.halves[half]["P"])) for of in pairs]) for half in (0, 1)]
    return _over_text(value, halves)


def _over_text(value: Array, halves: Sequence[Array]) -> Replicates:
    """A number with halves of the text and one set of facts: the authors used the same, so facts add no error."""
    return Replicates(value, facts=np.stack([value, value]), text=np.stack(halves))


def _share_near(matrix: Array, threshold: float, distance: float) -> float:
    """Share of the off-diagonal entries within a distance of a threshold: reading them off may carry each across."""
    return float((np.abs(off_diagonal(matrix) - threshold) <= distance).mean())

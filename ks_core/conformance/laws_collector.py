"""Laws of second-moment collectors: C = E[k kᵀ] over the tokens of a text, however they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch

from ks_core.conformance.arrays import called
from ks_core.conformance.collectors import (
    Collector,
    Layout,
    Text,
    lost_to_a_massive_key,
    massive_keys,
    mean_of_outer_products,
    rounding,
    rounding_of_long_sums,
    texts,
)
from ks_core.conformance.law import Gap, bits, law

LOUD = 1e3
"""what stands in the padding where it must not be read: a thousand times a key"""


def _same(what: str, collector: Collector, text: Text, one: Layout, other: Layout) -> Gap:
    got, expected = collector.collected(text, other), collector.collected(text, one)
    return Gap(what, got.matrix, expected.matrix, rounding(text, collector.traits, got, expected))


@law(
    "collector",
    texts,
    first=True,
    formula="keys and masks are after the call what they were before",
    why="The keys belong to the forward pass; changed in place, they change the model's output.",
    usual_cause="keys *= mask, or a centring in place",
)
def collector_leaves_keys_alone(collector: Collector, text: Text) -> Iterator[Gap]:
    """Every array keeps its bits."""
    shards, kept = (collector.shards(text, Layout(rows=2, filler=LOUD)) for _ in range(2))
    called(collector.implementation, "the collector", shards)
    for shard, before in zip(shards, kept, strict=True):
        for batch, was in zip(shard, before, strict=True):
            for name, array, old in zip(("keys", "mask"), batch, was, strict=True):
                yield bits(name, torch.as_tensor(array), torch.as_tensor(old))


@law(
    "collector",
    texts,
    first=True,
    formula="collect(text) is the same before and after another text was collected",
    why="The second layer's or model's statistics would hold the first one's.",
    usual_cause="a sum kept in a module, a class or a default argument",
)
def collector_keeps_no_state(collector: Collector, text: Text) -> Iterator[Gap]:
    """A collection does not see those before it."""
    alone = collector.collected(text, Layout())
    collector.collected(replace(text, keys=2 * text.keys), Layout())
    yield bits("the second moment", collector.collected(text, Layout()).matrix, alone.matrix)


@law(
    "collector",
    texts,
    first=True,
    formula="C = (1/n) Σ k kᵀ over all n tokens",
    why="The scale of C is the unit of every ridge, and centring removes a direction that keys do have.",
    usual_cause="a covariance instead of a second moment (mean subtracted), n − 1 for n, or the last batch dropped",
)
def collector_takes_the_uncentred_mean(collector: Collector, text: Text) -> Iterator[Gap]:
    """The result is the mean of outer products, token by token."""
    got = collector.collected(text, Layout())
    limit = rounding(text, collector.traits, got)
    yield Gap("the second moment", got.matrix, mean_of_outer_products(text), limit)


@law(
    "collector",
    massive_keys,
    first=True,
    formula="|Ĉ − C| is within the rounding of n sums in the claimed precision, n the number of tokens",
    why="A float32 sum of 10⁸ tokens takes up no small keys any more, and C⁻¹ is large where they alone are.",
    usual_cause="a running sum, or a running mean, in the dtype of the keys; else claim accumulates='float32'",
)
def collector_sums_are_as_precise_as_claimed(collector: Collector, text: Text) -> Iterator[Gap]:
    """One massive key before, amid or after many small ones, a key a batch, against exact sums."""
    got = collector.collected(text, Layout())
    limit = rounding_of_long_sums(text, collector.traits, got)
    lost = lost_to_a_massive_key(text)
    yield Gap("the second moment, one key massive", got.matrix, mean_of_outer_products(text), limit, lost)


@law(
    "collector",
    texts,
    formula="C does not depend on the order of the texts",
    why="Corpora are shuffled; a running estimate that forgets depends on the shuffle.",
    usual_cause="an exponential moving average, or a running mean weighted by batches",
)
def collector_ignores_the_order(collector: Collector, text: Text) -> Iterator[Gap]:
    """The same texts in reverse."""
    backwards = Text(text.keys.flip(0), text.lengths.flip(0))
    got, expected = (collector.collected(each, Layout()) for each in (backwards, text))
    yield Gap("the second moment", got.matrix, expected.matrix, rounding(text, collector.traits, got, expected))


@law(
    "collector",
    texts,
    formula="C does not depend on how many texts share a batch",
    why="The batch size is a matter of memory; numbers must not change with it.",
    usual_cause="the mean of the batches' means, which weighs tokens of short texts more",
)
def collector_ignores_the_batch_split(collector: Collector, text: Text) -> Iterator[Gap]:
    """One text in a batch, two, and all."""
    for rows in (2, len(text.lengths)):
        yield _same(f"the second moment, {rows} texts in a batch", collector, text, Layout(), Layout(rows=rows))


@law(
    "collector",
    texts,
    formula="C does not depend on what stands where the mask is 0, nor on which side",
    why="A model's keys at padding are not zero; counted, they bend C towards a direction of no text.",
    usual_cause="the attention mask not applied to the keys, or padding counted in n",
)
def collector_skips_padding(collector: Collector, text: Text) -> Iterator[Gap]:
    """Loud padding left and right, against no padding at all."""
    for side in ("right", "left"):
        padded = Layout(rows=len(text.lengths), side=side, filler=LOUD)
        yield _same(f"the second moment, padded {side}", collector, text, Layout(), padded)


@law(
    "collector",
    texts,
    formula="C of all shards = Σ n_s C_s / Σ n_s",
    why="Text is read by several processes or in several sittings; merging must give what one pass gives.",
    usual_cause="shards averaged without regard to their token counts, or only the last one kept",
)
def collector_merges_shards(collector: Collector, text: Text) -> Iterator[Gap]:
    """One shard against two and three, of different sizes."""
    for shards in (2, 3):
        yield _same(f"the second moment, {shards} shards", collector, text, Layout(), Layout(shards=shards))


@law(
    "collector",
    partial(texts, smallest=40),
    formula="float16 keys give the mean of their products, exact to float32 at least",
    why="Models run in half precision; sums in half precision stop growing after a few thousand tokens.",
    usual_cause="products or sums taken in the dtype of the keys",
)
def collector_widens_half_precision(collector: Collector, text: Text) -> Iterator[Gap]:
    """Hundreds of float16 keys, against exact sums of the same numbers."""
    halved = replace(text, keys=text.keys.half().double())
    got = collector.collected(halved, Layout(), torch.float16)
    limit = rounding(halved, replace(collector.traits, dtype="float16"), got)
    yield Gap("the second moment", got.matrix, mean_of_outer_products(halved), limit)


@law(
    "collector",
    texts,
    formula="C = Cᵀ",
    why="Factorisations read one triangle; if the other differs, two libraries give two answers.",
    usual_cause="only one triangle filled",
)
def collector_is_symmetric(collector: Collector, text: Text) -> Iterator[Gap]:
    """Both triangles agree within rounding."""
    got = collector.collected(text, Layout(rows=2))
    limit = rounding(text, collector.traits, got, got)
    yield Gap("the second moment and its transpose", got.matrix, got.matrix.T, limit)

"""Laws of key extractors: the input of the projection at the subject's last token, however the prompts are batched."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ks_core.conformance.extractors import Extractor
from ks_core.conformance.law import Gap, bits, law
from ks_core.conformance.prompts import APART, JOINED, TWICE, Prompts, batches, prompts_of
from ks_core.formatting import shortened

LONGEST = 200
"""Characters of a list of names."""


@law(
    "extractor",
    batches,
    formula="weights, buffers, settings, modes and hooks are after the call what they were before",
    why="Hooks left behind collect every later pass; changed weights or modes change every later result.",
    usual_cause="a hook that is never removed, or train(), requires_grad_ or a config set and not taken back",
    first=True,
)
def extractor_leaves_the_model_alone(extractor: Extractor, example: Prompts) -> Iterator[Gap]:
    """The model is as one that nobody has used."""
    for family in example.families:
        with extractor.lent(family) as model:
            extractor.extracted_from(model, example, family)
            left = extractor.changes(model, family)
        what = f"what is another in the {family} model ({shortened(', '.join(left), LONGEST) or 'nothing'}): how many"
        yield bits(what, torch.tensor(len(left)), torch.tensor(0))


def _against_offsets(extractor: Extractor, example: Prompts) -> Iterator[Gap]:
    """One prompt at a time, so that no padding is in play, against a plain forward pass."""
    for family in example.families:
        expected = extractor.expected(example, family)
        got = extractor.alone(example, family)
        yield _keys_gap(extractor, family, got, expected)


def _keys_gap(extractor: Extractor, family: str, got: Tensor, expected: Tensor) -> Gap:
    """Keys of other tokens differ by about the largest entry, which is the effect that is looked for."""
    largest = float(expected.abs().max())
    return Gap(f"the keys of the {family} model", got, expected, extractor.rounding(expected), largest)


@law(
    "extractor",
    prompts_of(*APART),
    formula="the key is that of the last token whose characters overlap the subject's, by the tokenizer's offsets",
    why="One token further and the key is that of a word all prompts share: edits and superposition are of that word.",
    usual_cause="special tokens left out of the count, or counted by the model's name and not by its tokenizer",
)
def extractor_reads_the_subjects_last_token(extractor: Extractor, example: Prompts) -> Iterator[Gap]:
    """Subjects that are words of their own."""
    yield from _against_offsets(extractor, example)


@law(
    "extractor",
    prompts_of(*JOINED),
    formula='the key is that of the last token that overlaps the subject in "Paris\'s" and "(Paris)" too',
    why="Tokens of a text are not those of its parts: beside a quote, a bracket or an ending the count is off by one.",
    usual_cause="the subject, or the text around it, tokenized alone to count or to search tokens",
)
def extractor_reads_subjects_joined_to_other_text(extractor: Extractor, example: Prompts) -> Iterator[Gap]:
    """Subjects with no space on one side or on both."""
    yield from _against_offsets(extractor, example)


@law(
    "extractor",
    prompts_of(*TWICE),
    formula="where the subject stands twice, or within another word, the key is that of the place that the span gives",
    why="A prompt about the second Paris gives the key of the first, which has not read what stands between.",
    usual_cause="prompt.index(subject), or a search for the subject's tokens, which finds the first place",
)
def extractor_reads_the_place_that_the_span_gives(extractor: Extractor, example: Prompts) -> Iterator[Gap]:
    """Prompts that hold the subject's characters twice."""
    yield from _against_offsets(extractor, example)


@law(
    "extractor",
    batches,
    formula="extract(prompts) = [extract(prompt) for prompt in prompts]",
    why="The batch size is a matter of memory; keys must not change with it.",
    usual_cause="padding attended to, or positions counted from another row's length",
)
def extractor_ignores_the_batch_size(extractor: Extractor, example: Prompts) -> Iterator[Gap]:
    """All prompts in one call, against each alone."""
    for family in example.families:
        alone = extractor.alone(example, family)
        yield _keys_gap(extractor, family, extractor.extracted(example, family), alone)


@law(
    "extractor",
    batches,
    formula="extract with padding_side='left' = extract with padding_side='right'",
    why="Tokenizers of different models pad on different sides; with the wrong one every short prompt is misread.",
    usual_cause="columns counted from the left under left padding, or padding attended to",
)
def extractor_ignores_the_padding_side(extractor: Extractor, example: Prompts) -> Iterator[Gap]:
    """The same prompts padded on either side."""
    for family in example.families:
        left, right = (extractor.extracted(example, family, side) for side in ("left", "right"))
        yield _keys_gap(extractor, family, left, right)


@law(
    "extractor",
    batches,
    formula="padding on the left has no positions: extract(prompts) = [extract(prompt) for prompt in prompts]",
    why="A model with absolute positions reads a padded prompt as if text had stood before it: all keys change.",
    usual_cause="no position_ids given, so that padding on the left is counted; rotary models do not show it",
    needs=("gpt2",),
)
def extractor_counts_positions_without_padding(extractor: Extractor, example: Prompts) -> Iterator[Gap]:
    """A model with absolute positions, padded on the left, against each prompt alone."""
    alone = extractor.alone(example, "gpt2")
    yield _keys_gap(extractor, "gpt2", extractor.extracted(example, "gpt2", "left"), alone)


@law(
    "extractor",
    batches,
    formula="row i of the result belongs to prompt i",
    why="Keys paired with the wrong facts give numbers that look like results.",
    usual_cause="prompts sorted by length for batching and not put back",
)
def extractor_keeps_the_order_of_prompts(extractor: Extractor, example: Prompts) -> Iterator[Gap]:
    """The prompts in reverse give the keys in reverse."""
    backwards = example.only(range(len(example.prompts))[::-1])
    for family in example.families:
        expected = extractor.extracted(example, family)
        got = extractor.extracted(backwards, family).flip(0)
        yield _keys_gap(extractor, family, got, expected)

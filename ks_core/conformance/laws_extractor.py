"""Laws of key extractors: the input of the projection at the subject's last token, however the prompts are batched."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ks_core.conformance.extractors import Extractor, Prompts, expected_key, prompts, rounding_of_keys
from ks_core.conformance.law import Gap, bits, law


def _alone(extractor: Extractor, example: Prompts) -> torch.Tensor:
    """Every prompt in a call of its own."""
    return torch.cat([extractor.extracted(example.only([i])) for i in range(len(example.prompts))])


@law(
    "extractor",
    prompts,
    formula="the key is that of the last token whose characters overlap the subject's, by the tokenizer's offsets",
    why="One token further and the key is that of a word all prompts share: edits and superposition are of that word.",
    usual_cause="positions from token counts of parts of the prompt, or special tokens left out",
)
def extractor_reads_the_subjects_last_token(extractor: Extractor, example: Prompts) -> Iterator[Gap]:
    """One prompt at a time, against a plain forward pass."""
    expected = torch.stack([expected_key(extractor, example, i) for i in range(len(example.prompts))])
    got = _alone(extractor, example)
    yield Gap("the keys", got, expected, rounding_of_keys(extractor, expected))


@law(
    "extractor",
    prompts,
    formula="extract(prompts) = [extract(prompt) for prompt in prompts]",
    why="The batch size is a matter of memory; keys must not change with it.",
    usual_cause="padding attended to, or positions counted from another row's length",
)
def extractor_ignores_the_batch_size(extractor: Extractor, example: Prompts) -> Iterator[Gap]:
    """All prompts in one call, against each alone."""
    alone = _alone(extractor, example)
    yield Gap("the keys", extractor.extracted(example), alone, rounding_of_keys(extractor, alone))


@law(
    "extractor",
    prompts,
    formula="extract with padding_side='left' = extract with padding_side='right'",
    why="Tokenizers of different models pad on different sides; with the wrong one every short prompt is misread.",
    usual_cause="columns counted from the left under left padding, or position_ids that count the padding",
)
def extractor_ignores_the_padding_side(extractor: Extractor, example: Prompts) -> Iterator[Gap]:
    """The same prompts padded on either side."""
    left, right = (extractor.extracted(example, side) for side in ("left", "right"))
    yield Gap("the keys", left, right, rounding_of_keys(extractor, right))


@law(
    "extractor",
    prompts,
    formula="row i of the result belongs to prompt i",
    why="Keys paired with the wrong facts give numbers that look like results.",
    usual_cause="prompts sorted by length for batching and not put back",
)
def extractor_keeps_the_order_of_prompts(extractor: Extractor, example: Prompts) -> Iterator[Gap]:
    """The prompts in reverse give the keys in reverse."""
    backwards = example.only(range(len(example.prompts))[::-1])
    expected = extractor.extracted(example)
    yield Gap("the keys", extractor.extracted(backwards).flip(0), expected, rounding_of_keys(extractor, expected))


@law(
    "extractor",
    prompts,
    formula="weights and hooks are after the call what they were before",
    why="Hooks left behind collect every later pass; changed weights change every later result.",
    usual_cause="a hook that is never removed",
)
def extractor_leaves_the_model_alone(extractor: Extractor, example: Prompts) -> Iterator[Gap]:
    """No hook stays, no weight changes."""
    model = extractor.model()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    hooks = _hooks(model)
    extractor.extracted(example, model=model)
    yield bits("the number of hooks", torch.tensor(_hooks(model)), torch.tensor(hooks))
    for (name, parameter), was in zip(model.named_parameters(), before, strict=True):
        yield bits(name, parameter.detach(), was)


def _hooks(model: torch.nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())

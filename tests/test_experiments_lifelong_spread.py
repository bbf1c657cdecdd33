"""Edits over several layers: against weights that are really edited, layer after layer, on three trained families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache

import pytest
import torch
from checkout import MODELS
from errors import refused
from tiny_models import tiny_model
from torch import Tensor

from ks_core.data.facts import Fact, packaged_facts
from ks_core.errors import InputError, RankDeficientError
from ks_core.experiments.lifelong.spread import spread_edits
from ks_core.measurement.keys import subject_keys
from ks_core.models.adapter import Adapter
from ks_core.models.architectures import FAMILIES
from ks_core.models.editing import edited
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import load_model
from ks_core.models.simulating import simulated
from ks_core.theory.batches import batched_edit_of
from ks_core.theory.editing import Edit, EditTerms, joint_edit_of
from ks_core.theory.whitening import Whitening, whiten

NAMES = ("ks-gpt2-l4", "ks-neox-l4", "ks-llama-l4")
ROUNDING = 1e-9
"""Relative, in float64: the second moments below have condition numbers under 3e5, so that a key that is off by a few
eps, 1e-15, writes along a direction that is off by 3e-10; a batch's system has one under 40."""

RIDGE = 1000.0
"""Large enough to be felt: it is added to eigenvalues between 300 and 40,000."""

LAYERS = (1, 2)


@cache
def loaded(name: str) -> LoadedModel:
    return load_model(MODELS / name, dtype="float64")


@cache
def problem(name: str) -> tuple[tuple[Fact, ...], Tensor, dict[int, Whitening]]:
    """Five facts about subjects of their own, changes as long as what the blocks put out, and one space for a layer."""
    by_subject = {fact.subject: fact for fact in packaged_facts()}
    facts, others = tuple(by_subject.values())[:5], tuple(by_subject.values())[5:90]
    generator = torch.Generator().manual_seed(1)
    changes = torch.randn(len(facts), loaded(name).adapter.d_value, generator=generator, dtype=torch.float64)
    keys = subject_keys(loaded(name), others, LAYERS)
    return facts, changes, {layer: whiten(of.T @ of / len(of), ridge=0.01) for layer, of in keys.items()}


def block_outputs(model: LoadedModel, facts: Sequence[Fact], layer: int) -> Tensor:
    """What a block puts out at each subject's last token, one prompt after another."""
    found = []
    for fact in facts:
        row = model.tokenizer(fact.text, return_offsets_mapping=True)
        end = fact.subject_span[1]
        last = max(i for i, (first, stop) in enumerate(row["offset_mapping"]) if first < end <= stop)
        outputs: list[Tensor] = []
        hook = model.adapter.block(layer).register_forward_hook(
            lambda _, __, output, outputs=outputs: outputs.append(output[0] if isinstance(output, tuple) else output)
        )
        model.adapter.hidden_states(torch.tensor([row["input_ids"]]), torch.ones(1, len(row["input_ids"])).long())
        hook.remove()
        found.append(outputs[0][0, last])
    return torch.stack(found).detach()


def really_spread(name: str, size: int, *, fault: str = "") -> dict[int, Tensor]:
    """Algorithm 1 of MEMIT on a model whose weights are written to: by layer, what was added in all.

    A fault changes one line of it.
    """
    facts, changes, spaces = problem(name)
    model = load_model(MODELS / name, dtype="float64")
    layers = sorted(spaces, reverse=fault == "from the top")
    first = {layer: model.adapter.weight(layer).clone() for layer in layers}
    unedited, keys_at_first = block_outputs(model, facts, max(layers)), subject_keys(model, facts, layers)
    for start in range(0, len(facts), size):
        batch = slice(start, start + size)
        stale = block_outputs(model, facts[batch], max(layers))
        for done, layer in enumerate(layers):
            fresh = block_outputs(model, facts[batch], max(layers))
            now = {"rest not read anew": stale, "earlier batches forgotten": unedited[batch]}.get(fault, fresh)
            rest = changes[batch] - (now - (stale if fault == "unedited after earlier ones" else unedited[batch]))
            keys = subject_keys(model, facts[batch], [layer])[layer]
            keys = keys_at_first[layer][batch] if fault == "keys of the unedited" else keys
            parts = len(layers) if fault == "divided by all layers" else len(layers) - done
            space = spaces[max(layers) if fault == "one space for all layers" else layer]
            terms = EditTerms(keys, rest / parts, space.solve(keys))
            edit = joint_edit_of(terms, ridge=0.0 if fault == "without ridge" else RIDGE)
            model.adapter.weight(layer).add_(edit.delta())
    return {layer: model.adapter.weight(layer) - before for layer, before in first.items()}


def spread(name: str, size: int, **options) -> Mapping[int, Edit]:
    facts, changes, spaces = problem(name)
    return spread_edits(loaded(name), facts, changes, spaces, **{"size": size, "ridge": RIDGE} | options)


def assert_same(found: Mapping[int, Edit], expected: Mapping[int, Tensor]) -> None:
    assert list(found) == sorted(expected)
    for layer, delta in expected.items():
        off = float((found[layer].delta() - delta).norm() / delta.norm())
        assert off < ROUNDING, f"layer {layer} is off by {off:.2g}"


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("name", NAMES)
def test_spread_edits_are_those_of_weights_that_are_written_to(name, size):
    assert_same(spread(name, size), really_spread(name, size))


@pytest.mark.parametrize(
    "fault",
    [
        "from the top",
        "rest not read anew",
        "earlier batches forgotten",
        "unedited after earlier ones",
        "keys of the unedited",
        "divided by all layers",
        "one space for all layers",
        "without ridge",
    ],
)
def test_planted_fault_is_caught(fault):
    with pytest.raises(AssertionError, match="is off by"):
        assert_same(spread(NAMES[0], 2), really_spread(NAMES[0], 2, fault=fault))


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("name", NAMES)
def test_one_layer_is_batches_in_closed_form(name, size):
    """Edits of a layer do not change its own keys, and what the MLP puts out is added to what the block does."""
    facts, changes, spaces = problem(name)
    only = {2: spaces[2]}
    keys = subject_keys(loaded(name), facts, [2])[2]
    expected = batched_edit_of(EditTerms(keys, changes, spaces[2].solve(keys)), size, ridge=RIDGE)
    found = spread_edits(loaded(name), facts, changes, only, size=size, ridge=RIDGE)
    assert_same(found, {2: expected.delta()})


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_ridge_reaches_what_was_wanted(name):
    facts, changes, _ = problem(name)
    before = block_outputs(loaded(name), facts, max(LAYERS))
    edits = spread(name, 5, ridge=0.0)
    with ExitStack() as made:
        for layer, edit in edits.items():
            made.enter_context(edited(loaded(name).adapter, layer, edit.delta()))
        after = block_outputs(loaded(name), facts, max(LAYERS))
    off = (after - before - changes).norm() / changes.norm()
    assert float(off) < ROUNDING


@pytest.mark.parametrize("name", NAMES)
def test_simulated_spread_edits_are_real_ones_at_every_token(name):
    adapter, edits = loaded(name).adapter, spread(name, 2)
    ids = torch.randint(3, 60, (3, 9), generator=torch.Generator().manual_seed(2))
    mask = torch.ones_like(ids)
    with ExitStack() as made, torch.inference_mode():
        for layer, edit in edits.items():
            made.enter_context(edited(adapter, layer, edit.delta()))
        expected = adapter.hidden_states(ids, mask)
    with simulated(adapter, {layer: (edit.left, edit.right) for layer, edit in edits.items()}), torch.inference_mode():
        found = adapter.hidden_states(ids, mask)
    assert float((found - expected).norm() / expected.norm()) < ROUNDING
    with torch.inference_mode():
        assert float((adapter.hidden_states(ids, mask) - expected).norm() / expected.norm()) > 1e-3, (
            "nothing was edited"
        )


def test_the_model_stays_as_it_was_and_passes_go_on():
    model = loaded(NAMES[2])
    facts, before = problem(NAMES[2])[0], model.fingerprints
    keys = subject_keys(model, facts)
    spread(NAMES[2], 2)
    assert model.fingerprints == before
    again = subject_keys(model, facts)  # all blocks run, with no hook left
    assert all(torch.equal(again[layer], of) for layer, of in keys.items())


def test_whole_batches_are_those_of_a_shorter_stream():
    facts, changes, spaces = problem(NAMES[0])
    shorter = spread_edits(loaded(NAMES[0]), facts[:4], changes[:4], spaces, size=2, ridge=RIDGE)
    first = {layer: Edit(edit.left[:, :4], edit.right[:4]) for layer, edit in spread(NAMES[0], 2).items()}
    assert_same(shorter, {layer: edit.delta() for layer, edit in first.items()})


def test_prompts_in_parts_are_prompts_at_once(monkeypatch):
    at_once = spread(NAMES[1], 5)
    monkeypatch.setattr("ks_core.experiments.lifelong.spread.TOKENS_AT_ONCE", 1)
    assert_same(spread(NAMES[1], 5), {layer: edit.delta() for layer, edit in at_once.items()})


SCALED_OR_NORMED = {"exaone4", "gemma2", "gemma3_text", "glm4", "granite", "olmo2", "olmo3"}


@pytest.mark.parametrize("model_type", FAMILIES)
def test_what_the_mlp_puts_out_is_added_to_the_block_but_where_it_is_said(model_type):
    adapter = Adapter(tiny_model(model_type, layers=1, dtype=torch.float64))
    if model_type == "granite":
        adapter.block(0).residual_multiplier = 0.22  # as published; the tiny one has the default, 1
    ids = torch.tensor([[5, 9, 7]])
    generator = torch.Generator().manual_seed(0)
    shift = torch.randn(1, 3, adapter.d_value, generator=generator, dtype=torch.float64)
    outputs: list[Tensor] = []
    hook = adapter.block(0).register_forward_hook(
        lambda _, __, output: outputs.append(output[0] if isinstance(output, tuple) else output)
    )
    with torch.inference_mode():
        adapter.hidden_states(ids, torch.ones_like(ids))
        with adapter.shifted_values(0, shift):
            adapter.hidden_states(ids, torch.ones_like(ids))
    hook.remove()
    added = bool((outputs[1] - outputs[0] - shift).norm() < 1e-12 * shift.norm() + 1e-12 * outputs[0].norm())
    assert added == (model_type not in SCALED_OR_NORMED)


# --- refused ----------------------------------------------------------------------------------------------------------


def test_keys_that_repeat_are_refused_with_layer_and_edits():
    facts, changes, spaces = problem(NAMES[0])
    twice = (*facts[:3], facts[2])
    with refused(RankDeficientError, what="layer 1, edits 2 to 3", got="only 1 directions", remedy="ridge"):
        spread_edits(loaded(NAMES[0]), twice, changes[:4], spaces, size=2)


@pytest.mark.parametrize(
    ("wrong", "parts"),
    [
        ({"changes": torch.ones(2, 3)}, {"what": "changes", "got": "(2, 3)", "expected": "(5, "}),
        ({"changes": torch.full((5, 3), float("nan"))}, {"what": "changes"}),
        ({"facts": []}, {"what": "no facts", "expected": "at least one"}),
        ({"spaces": {}}, {"what": "no layer", "expected": "at least one"}),
        ({"spaces": {9: None}}, {"what": "layer 9", "expected": "0 to 3"}),
        ({"size": 0}, {"what": "size", "expected": "at least 1"}),
        ({"ridge": -1.0}, {"what": "ridge", "got": "-1", "expected": "0 or more"}),
    ],
    ids=lambda case: "-".join(case) if isinstance(case, dict) else "",
)
def test_bad_input_is_refused(wrong, parts):
    facts, changes, spaces = problem(NAMES[0])
    with refused(InputError, **parts):
        spread_edits(loaded(NAMES[0]), **{"facts": facts, "changes": changes, "spaces": spaces, "size": 2} | wrong)

"""Edits spread over several layers, the rest of the change measured anew before each: MEMIT as it was published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ks_core.arguments import whole_number
from ks_core.arrays import as_float64
from ks_core.data.facts import Fact, as_facts
from ks_core.errors import InputError, RankDeficientError
from ks_core.measurement.subjects import subject_rows
from ks_core.models.loaded import LoadedModel
from ks_core.models.simulating import States, resumed, simulated, states_before
from ks_core.theory.editing import Edit, EditTerms, joint_edit_of
from ks_core.theory.key_spaces import KeySpace

TOKENS_AT_ONCE = 8192
"""Rows × longest row of one forward pass."""

LayerEdits = Mapping[int, Edit]
"""Edits of several layers, by layer."""


def spread_edits(
    model: LoadedModel,
    facts: Iterable[Fact],
    changes: Any,
    spaces: Mapping[int, KeySpace],
    size: int,
    ridge: float = 0.0,
) -> LayerEdits:
    """Make edits in batches, each spread over several layers: MEMIT.

        for each batch, for each layer l from the lowest to the last, L:
            rest = wanted change − (block L's output now − block L's output unedited)     at the subject's last token
            W_l += Rᵀ (ridge · I + K C_l⁻¹ Kᵀ)⁻¹ K C_l⁻¹,   R = rest / layers still to come, l among them,
                                                              K the keys of layer l as they are now

    (Meng et al. 2023, "Mass-Editing Memory in a Transformer", arXiv 2210.07229, section 4.3 and algorithm 1). "Now" is
    with everything written so far, of earlier batches and of lower layers; it is simulated, and no weight is touched.
    Earlier batches are not remembered otherwise, so with one layer it is `batched_edit_of`.

    What is wanted is a change of the block's output, what is searched as a target value is one of the MLP's. They are
    the same where a block adds what its MLP puts out, after attention (GPT-2, Llama) or beside it (GPT-NeoX). They are
    not where a norm stands between (EXAONE 4, Gemma 2 and 3, GLM-4, OLMo 2 and 3) or a factor (Granite): there the
    update, as published, writes another change than the rest that it measures.

    Args:
        model: unedited; it stays so.
        facts: n facts, in the order of their edits.
        changes: (n, d_value), the wanted change of block L's output at each subject's last token in its fact's prompt.
        spaces: by layer, where edits write: `whiten(C_l)` for MEMIT. The last layer is the highest.
        size: edits in a batch; the last has what is left over.
        ridge: MEMIT's λ, in every layer.

    Returns:
        By layer, lowest first, all edits together: column i of its left and row i of its right factor are edit i. The
        first ones, of whole batches, are the edits after those batches; a stream that ends inside a batch has to be
        made anew, of its facts only.

    Raises:
        RankDeficientError: keys of a batch that depend on each other in a layer, without a ridge; names both.
        InputError: no fact or layer, a layer that does not exist, changes of another shape, a size below 1, a subject
            that cannot be read, or a model that what is written has made not finite; see also `joint_edit`.

    Numerics:
        Passes run only from the lowest to the last layer and up to the subjects: batches × (layers + 1) of them. The
        rest is a difference of states in the model's dtype, and rounds as these do.
    """
    layers = _in_order(model, spaces)
    facts = as_facts(facts)
    if not facts:
        raise InputError("no facts were given to edit; expected at least one")
    wanted = as_float64("changes", changes, ndim=2)
    if tuple(wanted.shape) != (len(facts), model.adapter.d_value):
        raise InputError(
            f"changes have shape {tuple(wanted.shape)}; expected {(len(facts), model.adapter.d_value)}, one of the "
            "block's output for each fact"
        )
    size = whole_number("size", size, least=1)
    batches = _Batches(_read_subjects(model, facts, layers), wanted, layers, ridge)
    edits: LayerEdits = {}
    for start in range(0, len(facts), size):
        edits = _together((edits, batches.made(start, min(start + size, len(facts)), edits)))
    return edits


@dataclass(frozen=True, eq=False)
class _Batches:
    """What every batch is made from."""

    subjects: _Subjects
    wanted: Tensor
    spaces: Mapping[int, KeySpace]
    ridge: float

    def made(self, start: int, end: int, before: LayerEdits) -> LayerEdits:
        """What the edits from start to end write, in each layer, after those before."""
        rows, written = torch.arange(start, end), dict[int, Edit]()
        last = max(self.spaces)
        _, unedited = self.subjects.read(rows, last, {})
        for to_come, (layer, space) in zip(range(len(self.spaces), 0, -1), self.spaces.items(), strict=True):
            keys, now = self.subjects.read(rows, layer, _together((before, written)))
            rest = self.wanted[rows] - (now - unedited)
            try:
                written[layer] = joint_edit_of(EditTerms(keys, rest / to_come, space.solve(keys)), ridge=self.ridge)
            except RankDeficientError as error:
                raise RankDeficientError(f"layer {layer}, edits {start} to {end - 1}: {error}") from error
        return written


@dataclass(frozen=True, eq=False)
class _Subjects:
    """Prompts up to their subjects, and what the block below the lowest edited layer puts out for them."""

    model: LoadedModel
    input_ids: Tensor
    attention_mask: Tensor
    subject_last: Tensor
    lowest: int
    last: int
    below: States | None

    def read(self, rows: Tensor, layer: int, edits: LayerEdits) -> tuple[Tensor, Tensor]:
        """Keys of a layer and what the last block puts out, at the subjects, with edits simulated.

        Returns:
            (rows, d_key) and (rows, d_model) float64 on the CPU.
        """
        keys: list[Tensor] = []
        states: list[Tensor] = []
        adapter = self.model.adapter
        for some in _in_parts(rows, self.input_ids.shape[1]):
            at = (torch.arange(len(some)), self.subject_last[some])
            with ExitStack() as hooks:
                hooks.enter_context(torch.inference_mode())
                hooks.enter_context(suppress(_Done))
                hooks.enter_context(simulated(adapter, {of: (edits[of].left, edits[of].right) for of in edits}))
                hooks.enter_context(adapter.capture_keys([layer], lambda _, found, at=at: keys.append(_at(found, at))))  # type: ignore[misc]
                hooks.enter_context(adapter.block(self.last).register_forward_hook(_ending(at, states.append)))
                if self.below is not None:
                    hooks.enter_context(resumed(adapter, self.lowest, self.below.of(some)))
                adapter.hidden_states(self.input_ids[some], self.attention_mask[some])
        return torch.cat(keys), torch.cat(states)


class _Done(Exception):  # noqa: N818 - no error
    """Raised in a forward pass when all that is wanted of it has been read."""


def _ending(at: tuple[Tensor, Tensor], receive: Callable[[Tensor], None]) -> Callable[..., None]:
    """A hook that takes a block's output at some tokens, and ends the pass."""

    def end(_module: Any, _args: Any, output: Any) -> None:
        receive(_at(output[0] if isinstance(output, tuple) else output, at))
        raise _Done

    return end


def _at(found: Tensor, at: tuple[Tensor, Tensor]) -> Tensor:
    return found[at].to("cpu", torch.float64)


def _read_subjects(model: LoadedModel, facts: Sequence[Fact], layers: Mapping[int, KeySpace]) -> _Subjects:
    prompts = subject_rows(model, [fact.text for fact in facts], [fact.subject_span for fact in facts], facts)
    width = int(prompts.subject_last.max()) + 1  # no later token is seen by a subject
    device = model.adapter.device
    ids, mask = (of[:, :width].to(device) for of in (prompts.input_ids, prompts.attention_mask))
    lowest, last = min(layers), max(layers)
    below: list[States] = []
    if lowest:
        with states_before(model.adapter, lowest, below.append), torch.inference_mode():
            for some in _in_parts(torch.arange(len(ids)), width):
                model.adapter.hidden_states(ids[some], mask[some])
    joined = States(torch.cat([part.hidden for part in below]), below[0].in_tuple) if below else None
    return _Subjects(model, ids, mask, prompts.subject_last, lowest, last, joined)


def _in_parts(rows: Tensor, width: int) -> Sequence[Tensor]:
    return torch.split(rows, max(1, TOKENS_AT_ONCE // width))


def _in_order(model: LoadedModel, spaces: Mapping[int, KeySpace]) -> Mapping[int, KeySpace]:
    if not spaces:
        raise InputError("no layer was given to spread edits over; expected at least one, with its space")
    return {model.adapter.layer_number(layer): spaces[layer] for layer in sorted(spaces)}


def _together(parts: Sequence[LayerEdits]) -> LayerEdits:
    """Edits one after another, in each layer."""
    layers = sorted({layer for part in parts for layer in part})
    return {layer: _joined([part[layer] for part in parts if layer in part]) for layer in layers}


def _joined(edits: Sequence[Edit]) -> Edit:
    return Edit(torch.cat([edit.left for edit in edits], dim=1), torch.cat([edit.right for edit in edits]))

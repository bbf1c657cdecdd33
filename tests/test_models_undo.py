"""Edits are undone, or an error says that they are not: whatever happens in the block."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
from errors import refused
from tiny_models import tiny_model
from torch import nn

from ks_core.errors import InputError, UndoError
from ks_core.models import editing
from ks_core.models.adapter import Adapter
from ks_core.models.editing import edited, promoted
from ks_core.models.fingerprint import weights_sha256

TYPES = ["gpt2", "llama"]
"""One that stores its weights transposed, one that does not"""


@pytest.fixture(params=TYPES)
def adapter(request):
    return Adapter(tiny_model(request.param, dtype=torch.float32))


def delta_of(adapter, seed=0):
    return torch.randn(adapter.d_value, adapter.d_key, generator=torch.Generator().manual_seed(seed))


def same_bits(one, other):
    return one.dtype == other.dtype and torch.equal(
        one.contiguous().view(torch.uint8), other.contiguous().view(torch.uint8)
    )


def assert_unedited(adapter, before):
    """Layer 0 holds the weight of before, in whatever dtype and place it is now."""
    now = adapter.weight(0)
    assert same_bits(now, before.to(now.dtype))


@pytest.mark.parametrize("change", [edited, promoted])
def test_a_layer_is_changed_by_one_block_at_a_time(adapter, change):
    arguments = [delta_of(adapter)] if change is edited else []
    before = weights_sha256(adapter.model)
    with change(adapter, 0, *arguments):
        inside = weights_sha256(adapter.model)
        for other in (adapter, Adapter(adapter.model)):
            with refused(InputError, what="layer 0", got=change.__name__, remedy="end that one"):
                change(other, 0, *arguments).__enter__()
        assert weights_sha256(adapter.model) == inside
        with change(adapter, 1, *arguments):
            pass
    assert weights_sha256(adapter.model) == before
    with change(adapter, 0, *arguments):
        pass
    assert weights_sha256(adapter.model) == before


def test_one_object_can_be_used_again_but_not_inside_itself(adapter):
    before, edit = adapter.weight(0).clone(), edited(adapter, 0, delta_of(adapter))
    for _ in range(2):
        with edit:
            inside = adapter.weight(0).clone()
            with pytest.raises(InputError, match="layer 0 is edited already"), edit:
                pass
            assert torch.equal(adapter.weight(0), inside)
        assert_unedited(adapter, before)


def test_an_edit_in_another_thread_is_refused_and_the_first_is_undone(adapter):
    before, errors = adapter.weight(0).clone(), []

    def edit():
        try:
            with edited(adapter, 0, delta_of(adapter, 1)):
                pass
        except InputError as error:
            errors.append(str(error))

    with edited(adapter, 0, delta_of(adapter)):
        inside = adapter.weight(0).clone()
        thread = threading.Thread(target=edit)
        thread.start()
        thread.join()
        assert torch.equal(adapter.weight(0), inside)
    assert len(errors) == 1
    assert "in another thread" in errors[0]
    assert_unedited(adapter, before)


def test_many_threads_that_edit_one_layer_leave_it_as_it_was(adapter):
    before, outcomes, start = adapter.weight(0).clone(), [], threading.Barrier(8)

    def edit(seed):
        start.wait()
        for _ in range(50):
            try:
                with edited(adapter, 0, delta_of(adapter, seed)):
                    outcomes.append(True)
            except InputError:
                outcomes.append(False)

    threads = [threading.Thread(target=edit, args=[seed]) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 400
    assert any(outcomes)
    assert_unedited(adapter, before)


def test_edits_of_two_layers_may_end_in_any_order(adapter):
    before = weights_sha256(adapter.model)
    first, second = (edited(adapter, layer, delta_of(adapter)) for layer in (0, 1))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert weights_sha256(adapter.model) == before


@pytest.mark.parametrize("order", ["edited first", "promoted first"])
@pytest.mark.parametrize("ends", ["inner first", "outer first"])
def test_an_edit_and_a_promotion_may_begin_and_end_in_any_order(adapter, order, ends):
    before = weights_sha256(adapter.model)
    blocks = [edited(adapter, 0, delta_of(adapter)), promoted(adapter, 0)]
    blocks = blocks if order == "edited first" else blocks[::-1]
    for block in blocks:
        block.__enter__()
    assert adapter.weight(0).dtype == torch.float64
    assert weights_sha256(adapter.model) != before
    for block in blocks[::-1] if ends == "inner first" else blocks:
        block.__exit__(None, None, None)
    assert weights_sha256(adapter.model) == before


def replaced(module):
    other = copy.deepcopy(module)
    with torch.no_grad():
        other.weight.add_(1)
    return other


def set_module(adapter, module):
    adapter.model.set_submodule(adapter.layer_name(0), module)


IN_THE_BLOCK = {
    "half": lambda adapter: adapter.model.half(),
    "double": lambda adapter: adapter.model.double(),
    "half and back": lambda adapter: adapter.model.half().float(),
    "bfloat16 module": lambda adapter: adapter.projection(0).bfloat16(),
    "moved": lambda adapter: adapter.projection(0)._apply(lambda tensor: tensor.clone()),
    "new parameter": lambda adapter: setattr(
        adapter.projection(0), "weight", nn.Parameter(adapter.projection(0).weight.detach().clone())
    ),
    "data assigned": lambda adapter: setattr(
        adapter.projection(0).weight, "data", adapter.projection(0).weight.detach().clone()
    ),
    "state loaded": lambda adapter: adapter.model.load_state_dict(
        {name: value.clone() for name, value in adapter.model.state_dict().items()}, assign=True
    ),
    "new module": lambda adapter: set_module(adapter, replaced(adapter.projection(0))),
    "written": lambda adapter: adapter.weight(0).fill_(float("nan")),
    "trained": lambda adapter: adapter.model.train().requires_grad_(True),
}


@pytest.mark.parametrize("what", IN_THE_BLOCK)
def test_an_edit_is_undone_whatever_became_of_the_module(adapter, what):
    before, tensor = adapter.weight(0).clone(), adapter.weight(0)
    with edited(adapter, 0, delta_of(adapter)):
        IN_THE_BLOCK[what](adapter)
    assert_unedited(adapter, before)
    assert same_bits(tensor, before), "the tensor that was written to"
    with edited(adapter, 0, delta_of(adapter)):
        assert not torch.equal(adapter.weight(0), before.to(adapter.weight(0).dtype))
    assert_unedited(adapter, before)


def test_an_edit_is_undone_without_writing_into_a_tensor_that_was_put_in_its_place(adapter):
    mine = torch.ones_like(adapter.projection(0).weight)
    before = adapter.weight(0).clone()
    for put in (
        lambda module: setattr(module, "weight", nn.Parameter(mine)),
        lambda module: setattr(module.weight, "data", mine),
    ):
        with edited(adapter, 0, delta_of(adapter)):
            put(adapter.projection(0))
        assert_unedited(adapter, before)
        assert (mine == 1).all()


IMPOSSIBLE = {
    "no module": lambda adapter: delattr(
        adapter.model.get_submodule(adapter.layer_name(0).rpartition(".")[0]), adapter.layer_name(0).rpartition(".")[2]
    ),
    "another shape": lambda adapter: set_module(adapter, nn.Linear(3, 2)),
    "no weight": lambda adapter: set_module(adapter, nn.Identity()),
    "meta": lambda adapter: adapter.model.to("meta"),
    "computed weight": lambda adapter: nn.utils.parametrize.register_parametrization(
        adapter.projection(0), "weight", nn.Softplus()
    ),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_an_edit_that_cannot_be_undone_is_an_error_that_says_so(adapter, what):
    def change():
        with edited(adapter, 0, delta_of(adapter)):
            IMPOSSIBLE[what](adapter)

    with refused(UndoError, what="layer 0", remedy="load the model again"):
        change()


def test_planted_fault_a_weight_that_is_not_put_back_is_noticed(adapter, monkeypatch):
    monkeypatch.setattr(editing, "put", lambda *_: None)

    def change():
        with edited(adapter, 0, delta_of(adapter)):
            adapter.model.half()

    with pytest.raises(UndoError, match="does not take what is written"):
        change()


def test_a_promoted_layer_that_was_cast_stays_what_it_was_cast_to(adapter):
    with promoted(adapter, 0):
        adapter.model.half()
    assert {parameter.dtype for parameter in adapter.model.parameters()} == {torch.float16}


def test_a_promoted_layer_gives_back_each_parameters_own_dtype():
    adapter = Adapter(tiny_model("gpt2", dtype=torch.float32))
    adapter.projection(0).bias.data = adapter.projection(0).bias.data.half()
    before = weights_sha256(adapter.model)
    with promoted(adapter, 0):
        pass
    assert weights_sha256(adapter.model) == before


def test_a_weight_of_inference_mode_is_edited_there_and_refused_elsewhere():
    with torch.inference_mode():
        adapter = Adapter(tiny_model("llama", dtype=torch.float32).to(torch.bfloat16))
        before = adapter.weight(0).clone()
        with edited(adapter, 0, delta_of(adapter)):
            assert not torch.equal(adapter.weight(0), before)
        assert torch.equal(adapter.weight(0), before)
    assert adapter.weight(0).is_inference()
    with pytest.raises(InputError, match="made in inference mode"), edited(adapter, 0, delta_of(adapter)):
        pass
    with torch.inference_mode():
        edit = edited(adapter, 0, delta_of(adapter))
        edit.__enter__()
    edit.__exit__(None, None, None)
    assert_unedited(adapter, before)


def test_an_edit_that_is_never_ended_is_undone_when_it_is_dropped(adapter):
    before = adapter.weight(0).clone()
    edit = edited(adapter, 0, delta_of(adapter))
    edit.__enter__()
    del edit
    assert_unedited(adapter, before)


def test_errors_of_the_block_come_out_as_they_are(adapter):
    before = adapter.weight(0).clone()
    for error in (KeyError("mine"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()):
        with pytest.raises(type(error)) as info, edited(adapter, 0, delta_of(adapter)):
            raise error
        assert info.value is error
        assert_unedited(adapter, before)

"""Weights that are changed inside a block and put back after it, whatever happened to the module meanwhile."""

from __future__ import annotations

from collections.abc import MutableMapping
from contextlib import suppress
from types import TracebackType
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn

from ks_core.errors import InputError, UndoError
from ks_core.formatting import shown
from ks_core.models.adapter import Adapter
from ks_core.models.stored import memory, overlapping, put, same_bits, stored, writable

_OPEN: MutableMapping[nn.Module, dict[tuple[type, int], _Change]] = WeakKeyDictionary()
"""By model: the changes that are made now."""


class _Change:
    """A change of one layer, made and taken back; subclasses say how. `_Block` says when."""

    verb = ""

    def __init__(self, adapter: Adapter, layer: int) -> None:
        self.adapter, self.layer = adapter, layer
        self.made = False
        """from just before the change until it is taken back"""
        self._watch: ref[_Block] | None = None

    def make(self) -> nn.Module:
        """Remember what was, set `made`, make the change, and return the module."""
        raise NotImplementedError

    def take_back(self) -> None:
        """Take the change back; called again from the beginning where it was interrupted."""
        raise NotImplementedError

    def begin(self, block: _Block) -> nn.Module:
        """Make the change, unless the layer is changed already; `end` also when this was interrupted."""
        self.adapter.layer_name(self.layer)  # raises where there is none
        if self._others.setdefault(self._key, self) is not self:
            raise self.refusal()
        self._watch = ref(block, lambda _: self.end())
        return self.make()

    def end(self) -> None:
        """Take the change back, where it was made, and let others change the layer; a second call does nothing."""
        try:
            if self.made:
                self.take_back()
        except UndoError:  # it is said now, and a second try would fail as well
            self._forget()
            raise
        self._forget()

    def refusal(self) -> InputError:
        """What to say where the layer is changed already."""
        return InputError(
            f"layer {self.layer} is {self.verb} already, by a block that has not ended, here or in another thread; "
            "expected one at a time for each layer: end that one first, or add the changes up"
        )

    def _forget(self) -> None:
        self.made, self._watch = False, None
        if self._others.get(self._key) is self:
            del self._others[self._key]

    @property
    def _key(self) -> tuple[type, int]:
        return type(self), self.layer

    @property
    def _others(self) -> dict[tuple[type, int], _Change]:
        return _OPEN.setdefault(self.adapter.model, {})


class _Block:
    """A `with` block that a change lasts for.

    An interrupt may come between any two instructions. One inside `__enter__` or `__exit__` takes the change back
    before it goes on. One at their very first or last instruction, where nothing can catch it, leaves that to the weak
    reference of the change, which acts when this object is dropped: as soon as the interrupt has been handled.
    (`__del__` would be called after every block, and what interrupts it is lost.)
    """

    def __init__(self, change: _Change) -> None:
        self._change = change

    def __enter__(self) -> nn.Module:
        if self._change.made:
            raise self._change.refusal()
        try:
            return self._change.begin(self)
        except BaseException:
            self._change.end()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._change.end()
        finally:  # nothing is left to do, unless an interrupt came
            self._change.end()


class edited(_Block):  # noqa: N801 - reads as what it does, as in `with suppress(...)`
    """Add `delta` to a layer's weight inside the block; the weight is bit for bit the old one afterwards.

    The old weight is copied and put back, on exceptions and interrupts too, and then compared. Subtracting
    `delta` again would not do: the sum was rounded to the weight's dtype, so (W + delta) - delta differs from W in its
    last bits, and the differences would add up over edits. The sum is taken in float64 and rounded once.

    A module that was moved, cast or given another parameter inside the block gets the old weight in its new place and
    dtype. Edits of different layers may overlap in any way.

    Args:
        adapter: the model to edit.
        layer: the layer to edit.
        delta: (d_value, d_key), any floating dtype.

    Raises:
        InputError: at the block's beginning: the layer does not exist or is edited already, or one with the same weight
            is; `delta` is no real tensor of the weight's shape; the weight cannot be written to (made in inference
            mode, of other parameters, or with several entries in one place).
        UndoError: at its end: the layer is gone or cannot hold its weight any more.

    Example:
        >>> from ks_core.models.tiny import tiny_model
        >>> adapter = Adapter(tiny_model("gpt2"))
        >>> before = adapter.weight(0).clone()
        >>> with edited(adapter, 0, torch.ones(adapter.d_value, adapter.d_key)):
        ...     bool((adapter.weight(0) == before + 1).all())
        True
        >>> torch.equal(adapter.weight(0), before)
        True
    """

    def __init__(self, adapter: Adapter, layer: int, delta: Tensor) -> None:
        super().__init__(_Edit(adapter, layer, delta))


class promoted(_Block):  # noqa: N801
    """Inside the block a layer's projection, which it is given, is float64; its dtype and bits are back afterwards.

    For measuring the module alone, free of its dtype's rounding: the rest of the model stays as it is and cannot be
    run. A parameter that was cast inside the block stays what it was cast to.

    Args:
        adapter: the model.
        layer: the layer.

    Raises:
        InputError: the layer does not exist or is promoted already.
    """

    def __init__(self, adapter: Adapter, layer: int) -> None:
        super().__init__(_Promotion(adapter, layer))


def module_change(adapter: Adapter, layer: int, delta: Tensor, keys: Tensor) -> Tensor:
    """Run the real projection at some keys before and with an edit, and return how its output moved.

    Args:
        adapter: the model.
        layer: the layer.
        delta: (d_value, d_key), the edit.
        keys: (n, d_key); rounded to the module's dtype, in which everything is computed.

    Returns:
        (n, d_value) float64 on the CPU.

    Raises:
        InputError, UndoError: as `edited`.
    """
    module, weight = adapter.projection(layer), adapter.weight(layer)
    inputs = keys.to(weight.device, weight.dtype)
    with torch.inference_mode(), torch.autocast(weight.device.type, enabled=False):
        before = module(inputs)
        with edited(adapter, layer, delta):
            after = module(inputs)
    moved: Tensor = (after.double() - before.double()).cpu()
    return moved


class _Edit(_Change):
    verb = "edited"

    def __init__(self, adapter: Adapter, layer: int, delta: Tensor) -> None:
        super().__init__(adapter, layer)
        self._delta = delta

    def make(self) -> nn.Module:
        module, weight = self.adapter.projection(self.layer), self.adapter.weight(self.layer)
        self._check(module, weight)
        changed = weight.double() + self._delta.detach().to(weight.device, torch.float64)
        self._written = stored(module)
        self._original = self._written.clone()
        self._refuse_shared()
        self.made = True
        weight.copy_(changed)
        return module

    def _check(self, module: nn.Module, weight: Tensor) -> None:
        delta = self._delta
        if not isinstance(delta, Tensor) or delta.shape != weight.shape or delta.is_complex():
            got = f"{delta.dtype} of {tuple(delta.shape)}" if isinstance(delta, Tensor) else shown(delta)
            raise InputError(
                f"delta is {got}, but the weight of layer {self.layer} has shape {tuple(weight.shape)}; expected a "
                "tensor of real numbers, (d_value, d_key)"
            )
        if not bool(torch.isfinite(delta).all()):
            raise InputError(f"delta for layer {self.layer} holds NaN or infinity; expected finite numbers")
        if not isinstance(module._parameters.get("weight"), nn.Parameter):
            raise InputError(
                f"the weight of layer {self.layer} is no parameter of its own but made of others, so what is written "
                "into it is lost; expected a plain one: take parametrisations away (remove_parametrizations)"
            )
        if overlapping(weight):
            raise InputError(
                f"several entries of the weight of layer {self.layer} are one place in memory (strides "
                f"{weight.stride()}); expected one that can be written to: give the layer a copy (weight.clone())"
            )
        if not writable(weight):
            raise InputError(
                f"the weight of layer {self.layer} was made in inference mode; expected one that can be written to: "
                "edit it inside torch.inference_mode(), or load the model outside it"
            )

    def _refuse_shared(self) -> None:
        """Refuse what another open edit writes into: each would put back what the other has made of it."""
        place = memory(self._written)
        for changes in list(_OPEN.values()):
            for other in list(changes.values()):
                if isinstance(other, _Edit) and other.made and memory(other._written) == place:
                    raise InputError(
                        f"layer {self.layer} has its weight in one memory with layer {other.layer}, which is edited "
                        "already; expected one edit of it at a time: end that one first, or give each layer a copy"
                    )

    def take_back(self) -> None:
        if writable(self._written):
            self._written.copy_(self._original)  # for whoever else looks at this tensor, whatever the module holds now
        try:
            module = self.adapter.projection(self.layer)
        except InputError as error:
            raise self._failure("the module is gone") from error
        now = stored(module)
        if now.shape != self._original.shape or now.device.type == "meta":
            raise self._failure(f"its weight is {tuple(now.shape)} on {now.device}, not {tuple(self._original.shape)}")
        wanted = self._original.to(now.device, now.dtype)
        if not same_bits(now, wanted):
            put(module, wanted)
        if not same_bits(stored(module), wanted):
            raise self._failure("its weight does not take what is written into it")

    def _failure(self, what: str) -> UndoError:
        return UndoError(
            f"the edit of {self.adapter.model_type} layer {self.layer} cannot be undone: {what}; expected the module "
            "to be there with a weight of its shape when the block ends: load the model again"
        )


class _Promotion(_Change):
    verb = "promoted"

    def make(self) -> nn.Module:
        self._module = self.adapter.projection(self.layer)
        self.adapter.weight(self.layer)  # raises where it is offloaded
        self._dtypes = {name: parameter.dtype for name, parameter in self._module.named_parameters()}
        self.made = True
        return self._module.to(torch.float64)

    def take_back(self) -> None:
        modules = {self._module}
        with suppress(InputError):  # the layer is gone, and whoever took it away has the module
            modules.add(self.adapter.projection(self.layer))
        for module in modules:
            for name, parameter in module.named_parameters():
                if parameter.dtype == torch.float64:
                    parameter.data = parameter.data.to(self._dtypes.get(name, torch.float64))  # and back is exact

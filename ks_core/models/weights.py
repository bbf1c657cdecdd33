"""A model with the weights of its checkpoint: all of them, each in its place, finite."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import chain, groupby

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from ks_core.errors import InputError
from ks_core.models.checkpoint import stored_tensors
from ks_core.models.placing import place
from ks_core.models.sources import Source, explained


def architecture_of(source: Source, config: PretrainedConfig) -> PreTrainedModel:
    """The model that a config describes, without weights: on the meta device, milliseconds for any size.

    Raises:
        InputError: the config describes no model that transformers can build.
    """
    with explained(source.location), torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    return model


def load_weights(source: Source, architecture: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """Read a checkpoint into its architecture; names, shapes and types are checked before numbers are read.

    Args:
        source: where the checkpoint is.
        architecture: as from `architecture_of`; it stays as it is.
        dtype: of the parameters.

    Returns:
        The model, on the CPU.

    Raises:
        InputError: tensors without a place, places without a tensor, two heads where one is tied, or numbers that
            are not finite; see `ks_core.models.checkpoint` and `ks_core.models.placing`.
        AssetError: the hub cannot be asked.
    """
    stored = stored_tensors(source)
    placed = place(stored, architecture, source.place)
    contents = {parameter: stored[name].content for parameter, name in placed.items()}
    with explained(source.location):
        model: PreTrainedModel = type(architecture).from_pretrained(
            None, config=architecture.config, state_dict=contents, dtype=dtype
        )
    _check_ties(architecture, model, source.place)
    _part_memory(model)
    check_finite(model, source.place)
    return model


def _check_ties(architecture: PreTrainedModel, model: PreTrainedModel, location: str) -> None:
    """Parameters that are one in the architecture are one in the model: transformers keeps two if the file has two."""
    for first, second in _tied_pairs(architecture):
        if model.get_parameter(first) is not model.get_parameter(second):
            raise InputError(
                f"{location} holds different values as {first} and {second}, but its config.json ties them; set "
                "tie_word_embeddings to false if both are meant, or leave one out"
            )


def _part_memory(model: PreTrainedModel) -> None:
    """Give each parameter memory of its own: tensors of a pickle may share theirs, and writing would reach them all."""
    taken: set[int] = set()
    for parameter in model.parameters():
        place = parameter.untyped_storage().data_ptr()
        if place in taken or not parameter.is_contiguous():
            parameter.data = parameter.detach().clone(memory_format=torch.contiguous_format)
        taken.add(place)


def _tied_pairs(model: PreTrainedModel) -> Iterator[tuple[str, str]]:
    names = sorted(model.state_dict(keep_vars=True).items(), key=lambda item: id(item[1]))
    for _, group in groupby(names, key=lambda item: id(item[1])):
        first, *others = (name for name, _ in group)
        yield from ((first, other) for other in others)


def check_finite(model: PreTrainedModel, location: str) -> None:
    """Refuse a model with parameters or buffers that are NaN or infinite.

    Raises:
        InputError: names the first tensor, and how many of its values are.
    """
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if not _is_finite(tensor.detach()):
            wrong = int((~torch.isfinite(tensor)).sum())
            raise InputError(
                f"{wrong} of {tensor.numel()} values of {name} of {location} are NaN or infinite in {tensor.dtype}; "
                "expected finite weights: take an undamaged checkpoint, or a dtype that holds its values"
            )


def _is_finite(tensor: Tensor) -> bool:
    """Whether all numbers are finite, by the least and the greatest (NaN is both): one pass and no copy."""
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    return bool(torch.isfinite(torch.stack(torch.aminmax(tensor))).all())


def without_numbers(model: PreTrainedModel) -> PreTrainedModel:
    """A model of the same settings on the meta device, to try on what would change the real one."""
    with torch.device("meta"):
        copied: PreTrainedModel = type(model)(copy.deepcopy(model.config))
    return copied

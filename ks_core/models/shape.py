"""What can be said of a model before its weights are there: how many numbers it has, and how wide its keys are."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import AutoConfig, PreTrainedModel

from ks_core.models.adapter import Adapter
from ks_core.models.packaged import PACKAGED_MODELS, packaged_folder
from ks_core.models.quiet import quiet_unless_terminal
from ks_core.models.settings import load_config
from ks_core.models.sources import Source, source_of
from ks_core.models.weights import architecture_of


@dataclass(frozen=True)
class ModelShape:
    """A model's sizes, in numbers of whatever dtype.

    Attributes:
        layers: transformer blocks
        d_key, d_value: widths of the edited projection
        context_length: tokens that it reads at once
        parameters: all of them, tied ones once
        buffers: bytes of what a model holds besides, such as old families' causal masks
        heads: of attention, in each block
        scores: whether attention makes the scores of all pairs of tokens (transformers' eager attention)
        below: parameters before and in each block, (layers,), which a pass that ends there runs through; without the
            embedding, of which a token reads one row
        least: of the largest part that has to be on one device at once, a block or the embedding
    """

    name: str
    layers: int
    d_key: int
    d_value: int
    context_length: int
    parameters: int
    buffers: int
    heads: int
    scores: bool
    below: tuple[int, ...]
    least: int


def shape_of(model: PreTrainedModel, name: str) -> ModelShape:
    """The sizes of a model, which may be on the meta device.

    Raises:
        InputError: it is of no known family, or its layers are of different widths.
    """
    adapter = Adapter(model)
    blocks = [_numbers(adapter.block(layer)) for layer in range(adapter.num_layers)]
    embedding = model.get_input_embeddings().weight.numel()
    return ModelShape(
        name=name,
        layers=adapter.num_layers,
        d_key=int(adapter.d_key),
        d_value=int(adapter.d_value),
        context_length=adapter.context_length,
        parameters=_numbers(model),
        buffers=sum(buffer.nbytes for buffer in model.buffers()),
        heads=int(getattr(model.config, "num_attention_heads", 1)),
        scores=getattr(model.config, "_attn_implementation", "eager") in (None, "eager"),
        below=tuple(sum(blocks[: layer + 1]) for layer in range(len(blocks))),
        least=max(*blocks, embedding),
    )


def shape_by_name(name: str, revision: str | None = None) -> ModelShape:
    """The sizes of a model by name, folder or hub id, of which the config alone is read (of a hub's, fetched).

    Raises:
        InputError: no such model, or one that cannot be measured.
        AssetError: a hub model that cannot be reached.
    """
    if revision is None and name in PACKAGED_MODELS and not packaged_folder(name).exists():
        known = AutoConfig.for_model(**PACKAGED_MODELS[name].config)
        return shape_of(architecture_of(Source(name, None, None), known), name)
    source = source_of(name, revision)
    with quiet_unless_terminal():
        return shape_of(architecture_of(source, load_config(source)), name)


def _numbers(module: object) -> int:
    return sum(parameter.numel() for parameter in module.parameters())  # type: ignore[attr-defined]

"""How large a model is, as scaling laws count it."""

from __future__ import annotations

from torch.nn import Parameter
from transformers import PreTrainedModel


def parameters_outside_embedding(model: PreTrainedModel) -> int:
    """How many parameters a model has without its token and position embeddings and its output head.

    Source: Kaplan et al. 2020 (arXiv 2001.08361), §1.3.
    """
    embeddings = {id(parameter): parameter.numel() for parameter in _embeddings(model)}
    return int(sum(parameter.numel() for parameter in model.parameters())) - sum(embeddings.values())


def _embeddings(model: PreTrainedModel) -> list[Parameter]:
    """A tied output head is the input embedding itself, and counts once."""
    found = [model.get_input_embeddings().weight]
    head = model.get_output_embeddings()
    if head is not None:
        found.extend(head.parameters())
    # Learnt positions: GPT-2 and GPT-Neo call them wpe, OPT embed_positions.
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in ("wpe", "embed_positions"):
            found.extend(module.parameters())
    return found

"""Three decoder families in any depth, the members of each in one proportion of depth to width."""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
)

from ks_core.errors import InputError

CONTEXT = 255
"""tokens that a model reads: of a row of 256 the last is only predicted. A Wikipedia introduction has about 140"""

WIDTH_PER_LAYER = 28
"""the rule of proportion: width = 28 × depth, one attention head of 28 for each layer. With 28 the depths 2, 3, 4 and 6
have 0.08, 0.25, 0.6 and 2.0 million parameters outside the embedding, and three families fit into 30 MB of float16"""

FAMILIES = ("gpt2", "gpt_neox", "llama")
"""transformers' names of the architectures of GPT-2, Pythia and Llama"""


def config_of(family: str, depth: int, vocabulary: int) -> PretrainedConfig:
    """Settings of one member of a family.

    Weights start at 0.02 √(768 / width), which is GPT-2's spread at its own width; input and output embeddings are one
    matrix, which leaves more of a small model to its layers; nothing is dropped out.

    Args:
        family: one of `FAMILIES`.
        depth: layers.
        vocabulary: entries of the tokenizer; the last one ends a text.

    Raises:
        InputError: no such family, or no layer.

    Example:
        >>> config_of("gpt2", 2, 4000).n_embd
        56
    """
    if depth < 1:
        raise InputError(f"depth is {depth}; expected at least one layer")
    width, end = WIDTH_PER_LAYER * depth, vocabulary - 1
    common: dict[str, Any] = {
        "vocab_size": vocabulary,
        "bos_token_id": end,
        "eos_token_id": end,
        "initializer_range": 0.02 * (768 / width) ** 0.5,
        "tie_word_embeddings": True,
    }
    if family == "gpt2":
        shape = {"n_embd": width, "n_layer": depth, "n_head": depth, "n_positions": CONTEXT}
        return GPT2Config(**common, **shape, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    shape = {
        "hidden_size": width,
        "num_hidden_layers": depth,
        "num_attention_heads": depth,
        "max_position_embeddings": CONTEXT,
    }
    if family == "gpt_neox":
        # Pythia rotates a quarter of each head; of 28 that would be 7, and rotations come in pairs.
        rotary = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 8.1 / WIDTH_PER_LAYER}
        return GPTNeoXConfig(**common, **shape, intermediate_size=4 * width, rope_parameters=rotary)
    if family == "llama":
        # Three matrices of 8/3 in place of two of 4: as many parameters, the proportion of Llama.
        return LlamaConfig(**common, **shape, num_key_value_heads=depth, intermediate_size=round(8 * width / 3))
    raise InputError(f"family is {family!r}; expected one of {', '.join(FAMILIES)}")


def new_model(config: PretrainedConfig, seed: int) -> PreTrainedModel:
    """An untrained model in float32; the global random state is left as it was."""
    kinds = {"gpt2": GPT2LMHeadModel, "gpt_neox": GPTNeoXForCausalLM, "llama": LlamaForCausalLM}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kinds[config.model_type](config)

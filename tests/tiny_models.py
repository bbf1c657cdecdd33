"""The tiny models and tokenizers that the conformance suite tries key extractors on."""

from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import PreTrainedTokenizerFast

from ks_core.models.tiny import (
    CONTEXT_LENGTH,
    D_VALUE,
    VOCABULARY,
    byte_level_tokenizer,
    sentencepiece_tokenizer,
    tiny_config,
    tiny_model,
)

__all__ = [
    "CONTEXT_LENGTH",
    "D_VALUE",
    "VOCABULARY",
    "byte_level_tokenizer",
    "dropping_tokenizer",
    "save_tiny_checkpoint",
    "sentencepiece_tokenizer",
    "tiny_config",
    "tiny_model",
]


def save_tiny_checkpoint(
    folder: Path, model_type: str = "llama", *, layers: int = 2, dtype: torch.dtype = torch.float32
) -> Path:
    """Write a tiny model and a byte-level tokenizer to a folder, as a hub checkpoint would be."""
    tiny_model(model_type, layers=layers, dtype=dtype).save_pretrained(folder)
    byte_level_tokenizer().save_pretrained(folder)
    return folder


def dropping_tokenizer(character: str) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer that drops a character behind its normaliser: text of it alone has no tokens."""
    tokenizer = byte_level_tokenizer()
    steps = [pre_tokenizers.Split(character, "removed"), tokenizer.backend_tokenizer.pre_tokenizer]
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    return tokenizer

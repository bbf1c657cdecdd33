"""The tiny models and tokenizers that the conformance suite tries key extractors on."""

from ks_core.models.tiny import (
    CONTEXT_LENGTH,
    D_VALUE,
    VOCABULARY,
    byte_level_tokenizer,
    save_tiny_checkpoint,
    sentencepiece_tokenizer,
    tiny_config,
    tiny_model,
)

__all__ = [
    "CONTEXT_LENGTH",
    "D_VALUE",
    "VOCABULARY",
    "byte_level_tokenizer",
    "save_tiny_checkpoint",
    "sentencepiece_tokenizer",
    "tiny_config",
    "tiny_model",
]

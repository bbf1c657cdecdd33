"""Where each model family keeps its edited projection: a table, one row per `config.model_type`."""

from __future__ import annotations

from dataclasses import dataclass

from ks_core.errors import InputError


@dataclass(frozen=True)
class Family:
    """Module paths of one family, each relative to the one before it.

    Attributes:
        backbone: from the causal language model to the model without its head
        layers: from the backbone to the list of transformer blocks
        projection: from a block to the last linear map of its MLP, the paper's W_proj
        transposed: whether the weight is stored as (d_key, d_value), as GPT-2's Conv1D does
    """

    backbone: str
    layers: str
    projection: str
    transposed: bool = False

    def projection_of(self, layer: int) -> str:
        """Path of a layer's projection from the causal language model, as in `model.named_modules()`."""
        return f"{self.backbone}.{self.layers}.{layer}.{self.projection}"


_LLAMA_LIKE = Family("model", "layers", "mlp.down_proj")

FAMILIES: dict[str, Family] = {
    "arcee": _LLAMA_LIKE,
    "codegen": Family("transformer", "h", "mlp.fc_out"),
    "cohere": _LLAMA_LIKE,
    "cohere2": _LLAMA_LIKE,
    "ernie4_5": _LLAMA_LIKE,
    "exaone4": _LLAMA_LIKE,
    "falcon": Family("transformer", "h", "mlp.dense_4h_to_h"),
    "gemma": _LLAMA_LIKE,
    "gemma2": _LLAMA_LIKE,
    "gemma3_text": _LLAMA_LIKE,
    "glm": _LLAMA_LIKE,
    "glm4": _LLAMA_LIKE,
    "gpt2": Family("transformer", "h", "mlp.c_proj", transposed=True),
    "gpt_bigcode": Family("transformer", "h", "mlp.c_proj"),
    "gpt_neo": Family("transformer", "h", "mlp.c_proj"),
    "gpt_neox": Family("gpt_neox", "layers", "mlp.dense_4h_to_h"),
    "gptj": Family("transformer", "h", "mlp.fc_out"),
    "granite": _LLAMA_LIKE,
    "helium": _LLAMA_LIKE,
    "llama": _LLAMA_LIKE,
    "mistral": _LLAMA_LIKE,
    "nemotron": _LLAMA_LIKE,
    "olmo": _LLAMA_LIKE,
    "olmo2": _LLAMA_LIKE,
    "olmo3": _LLAMA_LIKE,
    "opt": Family("model", "decoder.layers", "fc2"),
    "persimmon": Family("model", "layers", "mlp.dense_4h_to_h"),
    "phi": Family("model", "layers", "mlp.fc2"),
    "phi3": _LLAMA_LIKE,
    "qwen2": _LLAMA_LIKE,
    "qwen3": _LLAMA_LIKE,
    "seed_oss": _LLAMA_LIKE,
    "smollm3": _LLAMA_LIKE,
    "stablelm": _LLAMA_LIKE,
    "starcoder2": Family("model", "layers", "mlp.c_proj"),
}


def family_of(model_type: str) -> Family:
    """Row of the table for a `config.model_type`.

    The type decides, never the model's name or a weight's shape: a square weight looks the same in both layouts.

    Raises:
        InputError: the type is not in the table; the message lists those that are.

    Example:
        >>> family_of("gpt2").projection
        'mlp.c_proj'
    """
    try:
        return FAMILIES[model_type]
    except KeyError:
        raise InputError(
            f"model_type {model_type!r} is not known; expected one of {', '.join(sorted(FAMILIES))}. "
            "A decoder with one dense MLP per layer can be added as a row of ks_core/models/families.py"
        ) from None

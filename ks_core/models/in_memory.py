"""A model that is in memory already: the checks that loading a checkpoint makes, as far as they apply to it."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from ks_core.errors import InputError
from ks_core.formatting import shown
from ks_core.models.adapter import Adapter
from ks_core.models.dtypes import DTYPES
from ks_core.models.loaded import LoadedModel
from ks_core.models.settings import check_context_length, refuse_quantised
from ks_core.models.tokenizers import check_rows, check_tokenizer
from ks_core.models.weights import check_finite


def wrap_model(model: PreTrainedModel, tokenizer: Any) -> LoadedModel:
    """A model and its tokenizer as `load_model` gives them; nothing of the model is changed, moved or cast.

    Args:
        model: as `AutoModelForCausalLM` or a training loop has it, in evaluation mode.
        tokenizer: the fast tokenizer that it was trained with.

    Raises:
        InputError: no tokenizer or a slow one, tokens without a row of the embedding; a family that is not known, a
            quantised or wrapped model, one in training mode, with hooks, without numbers (the meta device), or with
            some that are not finite.
    """
    name = _name(model)
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        got = "no tokenizer" if tokenizer is None else f"{shown(tokenizer)} for a tokenizer"
        raise InputError(
            f"a {type(model).__name__} was given with {got}; expected the one that it was trained with beside it: "
            "load_model(model, tokenizer), as AutoTokenizer loads it"
        )
    settings = model.config.to_dict()
    refuse_quantised(settings, name)
    adapter = Adapter(model)
    check_context_length(model.config, name)
    check_tokenizer(tokenizer, name)
    check_rows(tokenizer, model, name)
    _check_weights(model, name)
    adapter.require_evaluation_mode()
    loaded = LoadedModel(adapter, tokenizer, name=name, revision=getattr(model.config, "_commit_hash", None))
    _ = loaded.config_sha256  # raises where hooks or nameless functions make the model another than it looks
    return loaded


def _name(model: PreTrainedModel) -> str:
    """Where it was loaded from, else its class."""
    return model.config.name_or_path or type(model).__name__


def _check_weights(model: PreTrainedModel, name: str) -> None:
    if any(parameter.is_meta for parameter in model.parameters()):
        raise InputError(
            f"{name} has weights on the meta device, which holds no numbers; expected all of them in memory: load the "
            "model without offloading"
        )
    if model.dtype not in DTYPES.values():
        raise InputError(f"the weights of {name} are {model.dtype}; expected one of {', '.join(DTYPES)}")
    check_finite(model, name)

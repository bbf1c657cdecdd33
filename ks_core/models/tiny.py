"""Tiny real models and tokenizers, one per family, to try the true code paths on without trained weights."""

from __future__ import annotations

import functools
import json
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

D_VALUE = 8
VOCABULARY = 512
CONTEXT_LENGTH = 64
_TOKENS = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 1}


def _gpt2_like(d_key: int) -> dict[str, Any]:
    return {"n_embd": D_VALUE, "n_layer": 2, "n_head": 2, "n_positions": CONTEXT_LENGTH, "n_inner": d_key}


def _gptj_like(d_key: int) -> dict[str, Any]:
    return _gpt2_like(d_key) | {"n_head": 4, "rotary_dim": 2}


def _neox_like(d_key: int) -> dict[str, Any]:
    return {"hidden_size": D_VALUE, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": d_key,
            "max_position_embeddings": CONTEXT_LENGTH}  # fmt: skip


def _llama_like(d_key: int) -> dict[str, Any]:
    return _neox_like(d_key) | {"num_key_value_heads": 1, "head_dim": 4, "pad_token_id": 1}


def _gpt_neo(d_key: int) -> dict[str, Any]:
    return {"hidden_size": D_VALUE, "num_layers": 2, "num_heads": 2, "intermediate_size": d_key,
            "max_position_embeddings": CONTEXT_LENGTH, "attention_types": [[["global", "local"], 1]]}  # fmt: skip


def _opt(d_key: int) -> dict[str, Any]:
    return {"hidden_size": D_VALUE, "word_embed_proj_dim": D_VALUE, "num_hidden_layers": 2, "num_attention_heads": 2,
            "ffn_dim": d_key, "max_position_embeddings": CONTEXT_LENGTH, "pad_token_id": 1}  # fmt: skip


def _falcon(d_key: int) -> dict[str, Any]:
    return {"hidden_size": D_VALUE, "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_hidden_size": d_key,
            "max_position_embeddings": CONTEXT_LENGTH, "bias": True}  # fmt: skip


_SETTINGS = {
    "codegen": _gptj_like,
    "falcon": _falcon,
    "gpt2": _gpt2_like,
    "gpt_bigcode": _gpt2_like,
    "gpt_neo": _gpt_neo,
    "gpt_neox": _neox_like,
    "gptj": _gptj_like,
    "opt": _opt,
    "phi": _neox_like,
}


def tiny_config(model_type: str, *, square: bool = False, layers: int = 2) -> Any:
    """Config of a model with d_value 8 and d_key 12, or 8 when `square`."""
    settings = _SETTINGS.get(model_type, _llama_like)(D_VALUE if square else 12)
    config = AutoConfig.for_model(model_type, **_TOKENS, **settings)
    config.num_hidden_layers = layers
    return config


def tiny_model(
    model_type: str, *, square: bool = False, layers: int = 2, dtype: torch.dtype = torch.float64, seed: int = 0
) -> PreTrainedModel:
    """Model of a family with every parameter drawn from N(0, 1/4), biases too: a zero bias would hide a lost one."""
    model = AutoModelForCausalLM.from_config(tiny_config(model_type, square=square, layers=layers)).to(dtype).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


_CORPUS = [
    "The mother tongue of Vladimir Mayakovsky is Russian.",
    "Windows 8.1 was developed by Microsoft, Mac OS X 10.1 by Apple in 2001.",
    "The naïve café in Łódź, Zürich and 東京 opens in 1984; São Paulo does not.",
] * 4
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_SPECIAL = ["<s>", "</s>"]
_UNKNOWN = ["<unk>"]


@functools.cache
def _byte_level(prefix_space: bool, trim_offsets: bool, bos: bool, single_digits: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    words = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, words]) if single_digits else words
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=alphabet, special_tokens=_SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    steps = [processors.ByteLevel(add_prefix_space=prefix_space, trim_offsets=trim_offsets)]
    tokenizer.post_processor = processors.Sequence([*steps, _bos_template()] if bos else steps)
    return tokenizer


@functools.cache
def _sentencepiece(kind: str, metaspace: bool, bos: bool, by_words: bool) -> Tokenizer:
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE(byte_fallback=True))
        trainer: trainers.Trainer = trainers.BpeTrainer(
            vocab_size=360, special_tokens=_SPECIAL + _BYTES, limit_alphabet=30, show_progress=False
        )
    else:
        tokenizer = Tokenizer(models.Unigram(byte_fallback=True))
        trainer = trainers.UnigramTrainer(
            vocab_size=360, special_tokens=[*_SPECIAL, *_BYTES, *_UNKNOWN], unk_token=_UNKNOWN[0], show_progress=False
        )
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        if by_words:
            tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.train_from_iterator(_CORPUS, trainer)
    tokenizer = _with_byte_fallback(tokenizer)
    if not metaspace:
        tokenizer.pre_tokenizer = None
    if bos:
        tokenizer.post_processor = _bos_template()
    return tokenizer


def _with_byte_fallback(tokenizer: Tokenizer) -> Tokenizer:
    """Let the byte tokens be ordinary ones (training only offers to reserve them) and switch the fallback on."""
    settings = json.loads(tokenizer.to_str())
    settings["added_tokens"] = [token for token in settings["added_tokens"] if token["content"] not in _BYTES]
    settings["model"]["byte_fallback"] = True
    return Tokenizer.from_str(json.dumps(settings))


def _bos_template() -> Any:
    return processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 0)])


def _wrapped(tokenizer: Tokenizer, padding_side: str) -> PreTrainedTokenizerFast:
    """Wrap a tokenizer as transformers loads one; like GPT-2's it has no padding token."""
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(tokenizer.to_str()),
        **dict(zip(["bos_token", "eos_token"], _SPECIAL, strict=True)),
        padding_side=padding_side,
    )


def byte_level_tokenizer(
    *,
    prefix_space: bool = False,
    trim_offsets: bool = True,
    bos: bool = False,
    single_digits: bool = False,
    padding_side: str = "right",
) -> PreTrainedTokenizerFast:
    """Byte-level BPE as in GPT-2 (offsets without the leading space), Llama 3 (`bos`) or SmolLM2 (`single_digits`)."""
    return _wrapped(_byte_level(prefix_space, trim_offsets, bos, single_digits), padding_side)


def sentencepiece_tokenizer(
    kind: str = "bpe",
    *,
    metaspace: bool = True,
    bos: bool = True,
    by_words: bool = False,
    padding_side: str = "right",
) -> PreTrainedTokenizerFast:
    """SentencePiece-style "bpe" or "unigram" with byte fallback, as in Llama 2.

    `metaspace` marks spaces in the pre-tokenizer; otherwise the normaliser does, as in older Llama files. Then a token
    may end in a space or span words, unless it learns `by_words`, as Llama's did: the space stands before its word.
    """
    return _wrapped(_sentencepiece(kind, metaspace, bos, by_words), padding_side)

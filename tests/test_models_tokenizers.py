"""The tokens are those of the checkpoint's own tokenizer.json, and each has a row of the embedding."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from errors import refused
from tiny_models import VOCABULARY, byte_level_tokenizer, sentencepiece_tokenizer, tiny_config, tiny_model
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from ks_core.errors import InputError
from ks_core.models.architectures import FAMILIES
from ks_core.models.loading import load_model
from ks_core.models.sources import Source
from ks_core.models.tokenizers import PROBES, difference, load_tokenizer

TEXTS = (
    *PROBES,
    "The mother tongue of Vladimir Mayakovsky is Russian.",
    "Windows 8.1, x86-64 and 1984",
    "  naïve\tcafé\n\nin 東京 ",
    "cafe\u0301",
    "<s> is not </s>, nor is <|endoftext|> or <pad>",
)
KINDS = {
    "byte level": byte_level_tokenizer,
    "prefix space": lambda: byte_level_tokenizer(prefix_space=True),
    "begin of text": lambda: byte_level_tokenizer(bos=True),
    "digits": lambda: byte_level_tokenizer(single_digits=True),
    "left": lambda: byte_level_tokenizer(padding_side="left"),
    "bpe": sentencepiece_tokenizer,
    "older bpe": lambda: sentencepiece_tokenizer(metaspace=False),
    "unigram": lambda: sentencepiece_tokenizer("unigram"),
}


def saved(folder: Path, family: str, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A config and a tokenizer, without weights."""
    tiny_config(family).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def loaded(folder: Path) -> PreTrainedTokenizerFast:
    return load_tokenizer(Source(str(folder), None, None))


def file_of(folder: Path) -> Tokenizer:
    file = Tokenizer.from_file(str(folder / "tokenizer.json"))
    file.no_padding()
    file.no_truncation()
    return file


PAIRS = [(family, "byte level") for family in sorted(FAMILIES)]
PAIRS += [(family, kind) for family in ("gemma", "llama", "qwen2") for kind in KINDS if kind != "byte level"]


@pytest.mark.parametrize(("family", "kind"), PAIRS)
def test_load_tokenizer_gives_the_tokens_of_the_file_whatever_the_family(tmp_path, family, kind):
    original = KINDS[kind]()
    folder = saved(tmp_path, family, original)
    tokenizer, file = loaded(folder), file_of(folder)
    for text in TEXTS:
        assert tokenizer(text)["input_ids"] == file.encode(text).ids == original(text)["input_ids"]
        offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        assert offsets == file.encode(text).offsets
    assert tokenizer.special_tokens_map == original.special_tokens_map
    assert (tokenizer.padding_side, len(tokenizer)) == (original.padding_side, len(original))


def test_load_model_gives_the_tokens_of_the_file_where_transformers_puts_another_class_over_it(tmp_path):
    tiny_model("qwen2").save_pretrained(tmp_path)
    byte_level_tokenizer().save_pretrained(tmp_path)
    text = "The mother tongue of Vladimir Mayakovsky is Russian."
    tokens = file_of(tmp_path).encode(text).ids
    assert (
        AutoTokenizer.from_pretrained(tmp_path)("don't 1984")["input_ids"] != file_of(tmp_path).encode("don't 1984").ids
    )
    assert load_model(tmp_path).tokenizer(text)["input_ids"] == tokens


def test_load_tokenizer_takes_the_file_although_another_class_is_named(tmp_path):
    folder = saved(tmp_path, "llama", byte_level_tokenizer())
    for name in ("LlamaTokenizerFast", "GemmaTokenizer", "Qwen2Tokenizer", "T5Tokenizer", "BertTokenizer", "Nonsense"):
        config = json.loads((folder / "tokenizer_config.json").read_text()) | {"tokenizer_class": name}
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        for text in TEXTS:
            assert loaded(folder)(text)["input_ids"] == file_of(folder).encode(text).ids


@pytest.mark.parametrize("setting", [{"padding": 200}, {"truncation": 3}], ids=str)
def test_load_tokenizer_leaves_out_the_padding_and_truncation_of_the_file(tmp_path, setting):
    original = byte_level_tokenizer()
    backend = Tokenizer.from_str(original.backend_tokenizer.to_str())
    if "padding" in setting:
        backend.enable_padding(length=setting["padding"], pad_token="</s>", pad_id=1)  # noqa: S106  (no password)
    else:
        backend.enable_truncation(setting["truncation"])
    folder = saved(tmp_path, "llama", original)
    backend.save(str(folder / "tokenizer.json"))
    assert loaded(folder)(TEXTS[0])["input_ids"] == original(TEXTS[0])["input_ids"]
    assert loaded(folder)("a")["input_ids"] == original("a")["input_ids"]


@pytest.mark.parametrize("bos", [True, False])
def test_load_tokenizer_begins_and_ends_a_text_as_the_file_does(tmp_path, bos):
    folder = saved(tmp_path, "llama", byte_level_tokenizer(bos=bos))
    config = json.loads((folder / "tokenizer_config.json").read_text()) | {
        "add_bos_token": not bos,
        "add_eos_token": True,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert loaded(folder)("a")["input_ids"] == file_of(folder).encode("a").ids == [0] * bos + [66]


def test_load_tokenizer_refuses_a_config_that_names_another_file(tmp_path):
    folder = saved(tmp_path, "llama", byte_level_tokenizer())
    byte_level_tokenizer(single_digits=True).backend_tokenizer.save(str(folder / "tokenizer.5.0.0.json"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(
        json.dumps(config | {"fast_tokenizer_files": ["tokenizer.5.0.0.json"]})
    )
    with refused(InputError, what="tokenizer.json", got="another pre_tokenizer"):
        loaded(folder)


def test_load_tokenizer_reads_a_folder_without_a_tokenizer_file_as_the_family_does(tmp_path):
    backend = json.loads(byte_level_tokenizer().backend_tokenizer.to_str())["model"]
    tiny_config("gpt2").save_pretrained(tmp_path)
    (tmp_path / "vocab.json").write_text(json.dumps(backend["vocab"]))
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, backend["merges"])]))
    text = "Windows 8.1 was developed by Microsoft"
    assert loaded(tmp_path)(text)["input_ids"] == byte_level_tokenizer()(text)["input_ids"]


FAULTS = {
    "normalizer": lambda t: setattr(t, "normalizer", normalizers.NFC()),
    "normalizer of its own": lambda t: setattr(t, "normalizer", normalizers.Lowercase()),
    "pre_tokenizer": lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "no pre_tokenizer": lambda t: setattr(t, "pre_tokenizer", None),
    "decoder": lambda t: setattr(t, "decoder", None),
    "tokens": lambda t: t.add_tokens([" Mayakovsky"]),
    "post_processor": lambda t: setattr(t, "post_processor", byte_level_tokenizer(bos=True)._tokenizer.post_processor),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_difference_sees_every_way_to_depart_from_the_file(tmp_path, fault):
    folder = saved(tmp_path, "llama", byte_level_tokenizer())
    tokenizer, file = loaded(folder), file_of(folder)
    assert difference(tokenizer, file) is None
    FAULTS[fault](tokenizer.backend_tokenizer)
    found = difference(tokenizer, file)
    assert found is not None
    assert fault.split()[-1] in found or "tokens" in found or "another" in found


def test_difference_sees_the_class_that_transformers_puts_over_the_file(tmp_path):
    folder = saved(tmp_path, "qwen2", byte_level_tokenizer())
    assert difference(AutoTokenizer.from_pretrained(folder), file_of(folder)) == "another normalizer"


def test_difference_holds_the_vocabulary_against_the_probes(tmp_path):
    """Every merge that the probes need is needed to read them alike."""
    folder = saved(tmp_path, "llama", byte_level_tokenizer())
    tokenizer, settings = loaded(folder), json.loads((folder / "tokenizer.json").read_text())
    settings["model"]["merges"] = settings["model"]["merges"][:-40]
    found = difference(tokenizer, Tokenizer.from_str(json.dumps(settings)))
    assert found is not None
    assert "tokens, the file" in found


@pytest.mark.parametrize(
    "add",
    [
        lambda tokenizer: tokenizer.add_tokens([f"word{i}" for i in range(VOCABULARY)]),
        lambda tokenizer: tokenizer.add_tokens([f"word{i}" for i in range(VOCABULARY - len(tokenizer) + 1)]),
        lambda tokenizer: tokenizer.add_special_tokens(
            {"pad_token": "[PAD]", "additional_special_tokens": [f"<{i}>" for i in range(VOCABULARY)]}
        ),
    ],
    ids=["many", "one too many", "special"],
)
def test_load_model_refuses_more_tokens_than_rows_in_one_line(tmp_path, add):
    tokenizer = byte_level_tokenizer()
    add(tokenizer)
    tiny_model("llama").save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()  # known before the weights are read
    largest = max(tokenizer.get_vocab().values())
    with pytest.raises(InputError, match=rf"up to {largest} \('.*'\).* 512 rows") as caught:
        load_model(tmp_path)
    assert str(caught.value).isprintable()


def test_load_model_takes_as_many_tokens_as_rows(tmp_path):
    tokenizer = byte_level_tokenizer()
    tokenizer.add_tokens([f"word{i}" for i in range(VOCABULARY - len(tokenizer))])
    tiny_model("llama").save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    last = load_model(tmp_path).tokenizer("word0", add_special_tokens=False)["input_ids"]
    assert last == [tokenizer.get_vocab()["word0"]]


def test_load_model_counts_ids_and_not_tokens(tmp_path):
    """A vocabulary with a gap has fewer tokens than its largest id says."""
    tiny_model("llama").save_pretrained(tmp_path)
    byte_level_tokenizer().save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "tokenizer.json").read_text())
    settings["added_tokens"].append({**settings["added_tokens"][-1], "id": 600, "content": "<far>"})
    settings["model"]["vocab"]["<far>"] = 600
    (tmp_path / "tokenizer.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match=r"token ids up to 600 \('<far>'\)"):
        load_model(tmp_path)


def test_load_model_takes_a_placeholder_that_no_text_holds(tmp_path):
    tokenizer = byte_level_tokenizer()
    tokenizer.add_tokens([f"word{i}" for i in range(VOCABULARY - len(tokenizer))])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image_soft_token>"]})
    tiny_model("gemma3_text").save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert len(load_model(tmp_path).tokenizer) == VOCABULARY + 1

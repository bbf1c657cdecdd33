"""A checkpoint's tokenizer: the one that its tokenizer.json describes, with a row of the embedding for every token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from ks_core.errors import InputError
from ks_core.formatting import shown, shown_path
from ks_core.models.sources import Source, explained

PROBES = (
    "The mother tongue of Vladimir Mayakovsky isn't English; it's Russian.",
    "  two  spaces,\ta tab,\n\na blank line and an end \n",
    "x86, 1984, 3.14159, 10,000 and $5: {code} = [a_b] -> (C++)!?",
    "naïve café in Łódź; e\u0301 ﬁ Å ½ № ＡＢ",  # decomposed, and of several compatibility forms
    "Владимир Маяковский, Ελληνικά, العربية, עברית, हिन्दी",
    "東京は日本の首都です。北京是中国的首都。서울은 한국의 수도이다. กรุงเทพ",
    "👩‍👩‍👧 🇯🇵 \u00a0\u200b\u3000…",
)
"""texts of several scripts and spaces, on which a tokenizer is held against its file"""

PLACEHOLDERS = frozenset({"<image_soft_token>"})
"""tokens without a row of the embedding that no text holds: Gemma 3's stands where its larger siblings put an image"""


def load_tokenizer(source: Source) -> PreTrainedTokenizerBase:
    """Load a fast tokenizer.

    transformers may put the class that it knows for a family over the file, and with it another normaliser and
    pre-tokeniser. Here the file decides; tokenizer_config.json may add special tokens and say which is which.

    Raises:
        InputError: no tokenizer or a damaged one, one without character offsets, one that makes no tokens, or one
            that transformers reads otherwise than its file says.
        AssetError: the hub cannot be asked.
    """
    path = source.find("tokenizer.json")
    loader = AutoTokenizer if path is None else PreTrainedTokenizerFast  # without the file, by the family's own files
    with explained(source.location):
        tokenizer: PreTrainedTokenizerBase = loader.from_pretrained(
            source.location, revision=source.commit, trust_remote_code=False
        )
        if path is not None:
            _check_like_file(tokenizer, path)
    check_tokenizer(tokenizer, source.place)
    return tokenizer


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, location: str) -> None:
    """Refuse a tokenizer that nothing here could read a text with.

    Raises:
        InputError: a slow one, which has no character offsets, or one that makes no tokens.
    """
    if not tokenizer.is_fast:
        raise InputError(f"{location} has only a slow tokenizer, without character offsets; expected a tokenizer.json")
    if not tokenizer("a", add_special_tokens=False)["input_ids"]:
        raise InputError(
            f"the tokenizer of {location} makes no tokens of text; expected a whole tokenizer.json beside it"
        )


def check_rows(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, location: str) -> None:
    """Check that each token has a row of the embedding; more rows than tokens are padding, and common.

    Raises:
        InputError: a token has no row; the message names the one with the largest id.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    ids = {token: number for token, number in tokenizer.get_vocab().items() if token not in PLACEHOLDERS}
    token = max(ids, key=ids.__getitem__)
    if ids[token] >= rows:
        raise InputError(
            f"the tokenizer of {location} has token ids up to {ids[token]} ({shown(token)}), but its embedding has "
            f"{rows} rows; take the tokenizer that the model was trained with, or resize and save the model "
            "(resize_token_embeddings)"
        )


def difference(tokenizer: PreTrainedTokenizerBase, file: Tokenizer) -> str | None:
    """The first way in which a loaded tokenizer departs from its file, or None.

    Normalisers, pre-tokenisers and decoders are compared as they are; vocabularies, rules and what is added at both
    ends by what becomes of `PROBES`.

    Args:
        tokenizer: as transformers loaded it.
        file: what its tokenizer.json describes, without padding and truncation.
    """
    for part in ("normalizer", "pre_tokenizer", "decoder"):
        if _state(getattr(tokenizer.backend_tokenizer, part)) != _state(getattr(file, part)):
            return f"another {part}"
    for probe in PROBES:
        got, expected = tokenizer(probe)["input_ids"], file.encode(probe).ids
        if got != expected:
            return f"{len(got)} tokens, the file {len(expected)}, or others, of {probe!a}"
    return None


def _state(part: Any) -> bytes | None:
    """A normaliser, pre-tokeniser or decoder as JSON; None when there is none."""
    return None if part is None else bytes(part.__getstate__())


def _check_like_file(tokenizer: PreTrainedTokenizerBase, path: Path) -> None:
    file = Tokenizer.from_file(str(path))
    file.no_padding()
    file.no_truncation()
    found = difference(tokenizer, file)
    if found is not None:
        raise InputError(
            f"transformers does not read {shown_path(path)} as it is written: {found}; leave out of "
            "tokenizer_config.json what overrules it, or update transformers"
        )

"""What tokens stand for, counted in bytes: the slow way to a subject's last token."""

from __future__ import annotations

from transformers import PreTrainedTokenizerFast


def oracle(tokenizer: PreTrainedTokenizerFast, prompt: str, end: int) -> int:
    """Index of the token that holds the last byte before character `end`, by counting bytes from the left."""
    ids = tokenizer(prompt)["input_ids"]
    texts = [bytes_of(tokenizer, token) for token in tokenizer.convert_ids_to_tokens(ids)]
    added = sum(map(len, texts)) - len(prompt.encode())
    assert added in (0, 1), "the tokens should spell the prompt, with at most a space before it"
    remaining = len(prompt[:end].encode()) + added
    for index, text in enumerate(texts):
        remaining -= len(text)
        if remaining <= 0:
            return index
    raise AssertionError("the tokens end before the subject")


def bytes_of(tokenizer: PreTrainedTokenizerFast, token: str) -> bytes:
    if token == tokenizer.bos_token:
        return b""
    if any(byte_token := [b for b in range(256) if token == f"<0x{b:02X}>"]):
        return bytes(byte_token)
    if type(tokenizer.backend_tokenizer.decoder).__name__ == "ByteLevel":
        return bytes(BYTE_OF[character] for character in token)
    return token.replace("▁", " ").encode()


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the others for the letters from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}


BYTE_OF = _byte_alphabet()

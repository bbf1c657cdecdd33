"""What stands between a prompt and what continues it: a space, or nothing where nobody would write one."""

from __future__ import annotations

import re
import unicodedata

_WITHOUT_SPACES = re.compile(
    "["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u0f00-\u0fff"  # Tibetan
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Myanmar
    "\u1780-\u17ff\u19e0-\u19ff"  # Khmer
    "\u1950-\u19df\u1a20-\u1aaf\uaa80-\uaadf"  # Tai Le, New Tai Lue, Tai Tham, Tai Viet
    "\u1b00-\u1b7f\ua980-\ua9df"  # Balinese, Javanese
    "\u2e80-\u2fff"  # parts of Chinese characters
    "\u3000-\u30ff\u31f0-\u31ff\uff65-\uff9f\U0001aff0-\U0001b16f"  # Japanese, punctuation of East Asia
    "\u3100-\u312f\u31a0-\u31bf"  # Bopomofo
    "\u3190-\u319f\u31c0-\u31ef\u3200-\u33ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese
    "\ufe30-\ufe4f\uff01-\uff64\uffe0-\uffe6"  # full-width forms
    "]"
)
"""Characters of scripts whose words follow each other without spaces. Korean is written with spaces."""

_FULL_WIDTH = re.compile(
    "[\u3001-\u3003\u3008-\u301f\u3030\u30fb\ufe30-\ufe4f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]"
)
"""Punctuation of East Asia: the room around it is part of the character."""

_ELISION = re.compile(r"(?<![\w'’])(?:[^\W\d_]|\w*qu|un|\w{1,3}ll|sant|quest)['’]\Z", re.IGNORECASE)
"""French, Italian and Catalan words that have lost their vowel (l', qu', dell'); "the boys'" is none of them."""


def separator(text: str, continuation: str) -> str:
    """What stands between a text and its continuation: a space or nothing.

    Nothing stands
    * where both sides are of scripts without spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese,
      Tibetan …): for the text its last letter decides where digits or punctuation of no script follow it, and digits
      and punctuation at the start of the continuation go with the text. Between "東京" and "Tokyo" there is a space;
    * after full-width punctuation, an opening bracket or an opening quotation mark; a straight one is taken for
      opening at the start of a word;
    * after a hyphen, dash or slash that is attached to a word ("Franco-"; after "Paris -" there is a space);
    * after an apostrophe where a vowel is left out ("l'"; after "the boys'" there is a space).
    Everywhere else there is a space.

    Args:
        text: without white space at its end.
        continuation: without white space at its start.

    Example:
        >>> separator("Paris is in", "France"), separator("パリは", "フランス"), separator("He said “", "no")
        (' ', '', '')
    """
    if _opens(text) or _FULL_WIDTH.match(text[-1:]):
        return ""
    letter = next((c for c in reversed(text) if _WITHOUT_SPACES.match(c) or _is_letter(c)), "")
    first = continuation[:1]
    spaced = not _WITHOUT_SPACES.match(letter) or (_is_letter(first) and not _WITHOUT_SPACES.match(first))
    return " " if spaced else ""


def _opens(text: str) -> bool:
    """Whether a text ends in punctuation to which the next word is attached, in any script."""
    last, before = text[-1:], text[-2:-1]
    attached = bool(before) and not before.isspace()
    category = unicodedata.category(last) if last else ""
    if category == "Pd" or last == "/":
        return attached
    if last in ("'", '"', "`") and (not attached or unicodedata.category(before) in ("Ps", "Pi")):
        return True
    return category in ("Ps", "Pi") or bool(_ELISION.search(text))


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] == "L" if character else False


def join(text: str, continuation: str) -> str:
    """A text with its continuation after it, as one would write them; the one place where the two are put together.

    Example:
        >>> join("The capital of France is", "Paris"), join("フランスの首都は", "パリ")
        ('The capital of France is Paris', 'フランスの首都はパリ')
    """
    return text + separator(text, continuation) + continuation

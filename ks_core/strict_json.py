"""JSON in which nothing is read that is not there: no key twice, no NaN, no integer that Python cannot write again."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from ks_core.formatting import shown


class JsonError(ValueError):
    """Why a text is not JSON, in a few words without place or remedy."""


def parse_json(text: str) -> Any:
    """The value that a JSON text stands for.

    Python's parser takes the last of two equal keys, reads NaN and Infinity, which are no JSON, and has errors of three
    kinds; here each of these is a `JsonError`.

    Raises:
        JsonError: not JSON, a key that comes twice in an object, NaN or Infinity, an integer of more digits than Python
            converts (4,300), or nesting that is too deep.

    Example:
        >>> parse_json('{"a": 1, "a": 2}')
        Traceback (most recent call last):
        ...
        ks_core.strict_json.JsonError: key 'a' comes twice in one object
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except JsonError:
        raise
    except json.JSONDecodeError as error:
        raise JsonError(f"{error.msg} at line {error.lineno}, column {error.colno}") from error
    except ValueError as error:  # of int(): the parser leaves it as it is
        raise JsonError("an integer has more digits than can be read (4,300)") from error
    except RecursionError as error:
        raise JsonError("it is nested too deeply") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise JsonError(f"key {shown(twice)} comes twice in one object")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise JsonError(f"{name} is no JSON number")


def finite_or_none(number: float) -> float | None:
    """A number as JSON has it: NaN and infinity are none.

    Example:
        >>> finite_or_none(float("nan")), finite_or_none(0.5)
        (None, 0.5)
    """
    return number if math.isfinite(number) else None

"""JSON values held against a JSON Schema: as much of draft 2020-12 as the schema of results uses, for use at run time.

What the schemas' own validators take and this does not: a number that is not finite as float64 (1e999), and a whole
number with a decimal point (2.0) where an integer is expected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ks_core.formatting import printable, shown

Schema = Mapping[str, Any]

KEYWORDS = (
    "$ref", "const", "enum", "type", "minimum", "required", "properties", "additionalProperties", "items",
    "minItems", "maxItems",
)  # fmt: skip
"""That are checked; a schema for `problems` has no others but `ANNOTATIONS`."""

ANNOTATIONS = ("$schema", "$defs", "title", "description")

WORDS = {
    "object": "an object", "array": "a list", "string": "a text", "integer": "a whole number", "null": "null",
    "number": "a finite number", "boolean": "true or false",
}  # fmt: skip


def problems(schema: Schema, value: Any) -> Iterator[str]:
    """What is wrong with a value, a sentence each: place, what was got, what was expected; none where it fits.

    Args:
        schema: with its `$defs`.
        value: as JSON has it.

    Example:
        >>> schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 1}}}
        >>> list(problems(schema, {"n": "1"})), list(problems(schema, {"n": 2}))
        (["n is '1'; expected a whole number"], [])
    """
    yield from _problems(schema, value, "", schema.get("$defs", {}))


def _problems(schema: Schema, value: Any, place: str, defs: Schema) -> Iterator[str]:
    if "$ref" in schema:
        yield from _problems(defs[schema["$ref"].removeprefix("#/$defs/")], value, place, defs)
    told = _of_itself(schema, value)
    if told:
        yield f"{place or 'it'} is {shown(value)}; expected {told}"
    elif isinstance(value, Mapping):
        yield from _of_object(schema, value, place, defs)
    elif isinstance(value, (list, tuple)):
        yield from _of_list(schema, value, place, defs)


def _of_itself(schema: Schema, value: Any) -> str:
    """What is expected of the value but for what is in it; empty where it is so."""
    if "const" in schema and not _same(value, schema["const"]):
        return repr(schema["const"])
    if "enum" in schema and not any(_same(value, of) for of in schema["enum"]):
        return "one of " + ", ".join(map(repr, schema["enum"]))
    types = schema.get("type", list(WORDS))
    names = [types] if isinstance(types, str) else list(types)
    if not any(IS[name](value) for name in names):
        return " or ".join(WORDS[name] for name in names)
    if "minimum" in schema and _is_number(value) and value < schema["minimum"]:
        return f"at least {schema['minimum']:g}"
    return ""


def _of_object(schema: Schema, value: Mapping[str, Any], place: str, defs: Schema) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{_inside(place, name)} is not there; expected one, as it was written"
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, item in value.items():
        of = known.get(name, others)
        if of is False:
            yield f"{_inside(place, name)} is there; expected one of {', '.join(map(repr, known))}"
        elif of is not True:
            yield from _problems(of, item, _inside(place, name), defs)


def _of_list(schema: Schema, value: list[Any] | tuple[Any, ...], place: str, defs: Schema) -> Iterator[str]:
    least, most = schema.get("minItems", 0), schema.get("maxItems", math.inf)
    if not least <= len(value) <= most:
        told = f"{least}" if least == most else f"{least} or more" if most == math.inf else f"{least} to {most}"
        yield f"{place or 'it'} has {len(value)} items; expected {told}"
    if "items" in schema:
        for index, item in enumerate(value):
            yield from _problems(schema["items"], item, f"{place}[{index}]", defs)


def _inside(place: str, name: str) -> str:
    return f"{place}.{printable(name)}" if place else printable(name)


def _same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and value == other


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and _is_number(value)


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer beyond float64
        return False


IS: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda of: isinstance(of, Mapping),
    "array": lambda of: isinstance(of, (list, tuple)),
    "string": lambda of: isinstance(of, str),
    "integer": _is_integer,
    "number": _is_number,
    "boolean": lambda of: isinstance(of, bool),
    "null": lambda of: of is None,
}

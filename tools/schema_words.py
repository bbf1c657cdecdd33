"""The few words that a JSON Schema of this project is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer", "minimum": 0}
NUMBER: Json = {"type": ["number", "null"]}
"""Null stands for NaN."""
NAME: Json = {"type": "string"}


def of(schema: Json, description: str) -> Json:
    """A schema with what it is of."""
    return schema | {"description": description}


def ref(name: str) -> Json:
    """One of `$defs`."""
    return {"$ref": f"#/$defs/{name}"}


def closed(properties: Json, optional: Json | None = None) -> Json:
    """An object with these keys, all of them but the optional ones, and no others."""
    known = properties | (optional or {})
    return {"type": "object", "additionalProperties": False, "required": [*properties], "properties": known}


def mapped(values: Json) -> Json:
    """An object with any keys."""
    return {"type": "object", "additionalProperties": values}


def listed(items: Json) -> Json:
    """A list."""
    return {"type": "array", "items": items}


def enum(values: Sequence[Any]) -> Json:
    """One of these."""
    return {"enum": [*values]}


def either(*schemas: Json) -> Json:
    """A value of one of several types, at most one of them a list or an object."""
    kinds = list(dict.fromkeys(kind for schema in schemas for kind in _types(schema)))
    merged: Json = {}
    for schema in schemas:
        merged |= schema
    return merged | {"type": kinds}


def _types(schema: Json) -> Iterable[str]:
    kind = schema["type"]
    return [kind] if isinstance(kind, str) else kind

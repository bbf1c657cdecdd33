"""What a JSON Schema says is wrong with a value, in one sentence: the check is jsonschema's, the words are ours."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ks_core.formatting import printable, shown

WORDS = {
    "object": "an object", "array": "a list", "string": "a text", "integer": "a whole number", "null": "null",
    "number": "a finite number", "boolean": "true or false",
}  # fmt: skip


def validator_of(schema: Mapping[str, Any]) -> Any:
    """The validator of a schema of draft 2020-12, stricter with numbers than the draft is.

    A number is finite as float64, which 1e999 is not; a whole number has no decimal point, which 2.0 has.
    """
    import jsonschema  # comes with an extra

    draft = jsonschema.Draft202012Validator
    types = draft.TYPE_CHECKER.redefine_many(
        {"number": lambda _, value: _is_number(value), "integer": lambda _, value: _is_integer(value)}
    )
    return jsonschema.validators.extend(draft, type_checker=types)(schema)


def first_problem(validator: Any, value: Any) -> str | None:
    """What is wrong with a value: place, what was got, what was expected; None where it fits.

    Of several problems it is the one that the schema comes to first: keys that are missing or unknown before what is in
    the others.

    Args:
        validator: of `validator_of`.
        value: as JSON has it.

    Example:
        >>> schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "minimum": 1}}}
        >>> first_problem(validator_of(schema), {"n": "1"}), first_problem(validator_of(schema), {"n": 2})
        ("n is '1'; expected a whole number", None)
    """
    try:
        error = next(validator.iter_errors(value), None)
        return None if error is None else _sentence(error)
    except RecursionError:  # what Python could parse, it cannot always write
        return "it is nested too deeply to be checked; expected what the schema names"


def _sentence(error: Any) -> str:
    place, value, asked = _place(error.absolute_path), error.instance, error.validator_value
    known = error.schema.get("properties", {})
    match error.validator:
        case "required":
            name = next(name for name in asked if name not in value)
            return f"{_place([*error.absolute_path, name])} is not there; expected one, as it was written"
        case "additionalProperties":
            name = next(name for name in value if name not in known)
            return f"{_place([*error.absolute_path, name])} is there; expected one of {', '.join(map(repr, known))}"
        case "minItems" | "maxItems" as end:
            other = error.schema.get("maxItems" if end == "minItems" else "minItems")
            told = "" if asked == other else " or more" if end == "minItems" else " at most"
            return f"{place} has {len(value)} items; expected {asked}{told}"
        case "type":
            told = " or ".join(WORDS[name] for name in ([asked] if isinstance(asked, str) else asked))
        case "enum":
            told = f"one of {', '.join(map(repr, asked))}"
        case "const":
            told = repr(asked)
        case "minimum":
            told = f"at least {asked:g}"
        case other:
            told = f"{other} {shown(asked)}, as the schema says"
    return f"{place} is {shown(value)}; expected {told}"


def _place(path: Iterable[str | int]) -> str:
    """Where in the file: `findings[0].value`."""
    made = "".join(f"[{part}]" if isinstance(part, int) else f".{printable(part)}" for part in path)
    return made.removeprefix(".") or "it"


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer beyond float64
        return False


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)

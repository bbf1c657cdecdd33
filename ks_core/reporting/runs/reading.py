"""What kind of run a file holds; whoever wrote it, nothing in it is believed before it is checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

from ks_core import arguments
from ks_core.errors import InputError
from ks_core.formatting import printable, shown, shown_path
from ks_core.reporting import baseline_file, results
from ks_core.strict_json import JsonError, parse_json

Kind = Literal["benchmarks", "results", "baselines"]

T = TypeVar("T")

KNOWN = (
    "a file that pytest-benchmark saved (--benchmark-autosave, --benchmark-json), a results.json of ks_core, "
    "or a baseline"
)


def read(path: Path) -> tuple[Kind, dict[str, Any]]:
    """The kind of a stored run, and its content as JSON.

    Raises:
        InputError: a file that cannot be read, that is not JSON, or that is of none of the kinds.
    """
    place = shown_path(path)
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except JsonError as error:
        raise InputError(
            f"{place} is truncated or no JSON ({error}); expected {KNOWN}: make it again, or name another"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{place} is no text in UTF-8 ({error.reason}); expected {KNOWN}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise InputError(f"{place} cannot be read: {error}; expected {KNOWN}") from error
    if not isinstance(content, dict):
        raise InputError(f"{place} holds {shown(content)}; expected {KNOWN}")
    return _kind(place, content), content


def _kind(place: str, content: dict[str, Any]) -> Kind:
    form = content.get("format")
    if form in (results.FORMAT, *results.OLDER):  # what is compared is the same in all
        return "results"
    if form == baseline_file.FORMAT:
        return "baselines"
    if form is None and "benchmarks" in content and "machine_info" in content:
        return "benchmarks"
    told = f"has the format {shown(form)}" if form is not None else f"has the fields {shown(sorted(content))}"
    raise InputError(
        f"{place} {told}; expected {KNOWN}, as this version of ks_core reads them: make it again with this version, "
        "or name another"
    )


def part(place: str, content: dict[str, Any], name: str, kind: type[T]) -> T:
    """A field of an object, of a type.

    Raises:
        InputError: it is missing, or of another type; `place` says where.
    """
    if name not in content:
        raise InputError(
            f"{place} has no {printable(name)}; expected one, as it was written: restore the file, or make it again"
        )
    value = content[name]
    if not isinstance(value, kind):
        words = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}[kind]
        raise InputError(
            f"{place}: {printable(name)} is {shown(value)}; expected {words}: restore the file, or make it again"
        )
    return value


def number(place: str, content: dict[str, Any], name: str, *, least: float | None = None) -> float | None:
    """A field that is a finite number, or null where it is undefined.

    Raises:
        InputError: it is missing, something else, or below `least`.
    """
    if part(place, content, name, object) is None:
        return None
    value = arguments.real_number(f"{place}: {printable(name)}", content[name], "a finite number, or null")
    if least is not None and value < least:
        raise InputError(f"{place}: {printable(name)} is {shown(value)}; expected at least {least:g}")
    return value


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)

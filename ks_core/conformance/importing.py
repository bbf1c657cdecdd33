"""From what the command line names to an implementation and to lists of laws."""

from __future__ import annotations

import importlib
from importlib import metadata
from pathlib import Path
from typing import Any

from ks_core.conformance.registry import LAWS
from ks_core.errors import InputError


def imported(option: str, spec: str) -> Any:
    """Import what `their_package.module:function` names; attributes of attributes (`module:Class.method`) too.

    Raises:
        InputError: another form, a module that cannot be imported, or no such attribute in it.

    Example:
        >>> imported("--ks-editor", "ks_core.conformance.reference:joint").__name__
        'joint'
    """
    module_name, colon, attribute = spec.partition(":")
    if not (module_name and colon and attribute):
        raise InputError(f"{option} is {spec!r}; expected an import path of the form their_package.module:function")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(
            f"{option}: module {module_name!r} cannot be imported: {type(error).__name__}: {error}; "
            "expected one that this Python finds: install its package, or add its folder to PYTHONPATH"
        ) from error
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise InputError(f"{option}: {module_name!r} has no {attribute!r}; expected the name of a function in it")
        found = getattr(found, name)
    return found


def version_of(spec: str) -> str:
    """Name and version of the installed package that an import path belongs to."""
    top = spec.partition(":")[0].partition(".")[0]
    packages = metadata.packages_distributions().get(top, [])
    return f"{packages[0]} {metadata.version(packages[0])}" if packages else f"{top}, not an installed package"


def laws_in(option: str, path: Path) -> dict[str, str]:
    """Read a file of laws, one a line, with the reason after `#`; lines with nothing before `#` are comments.

    Returns:
        Law → reason, empty where none is given. Names of no law are left in: the caller warns of them.

    Raises:
        InputError: the file cannot be read as text, or a line holds more than one word before `#`.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{option}: {path} cannot be read: {error}; expected a text file, one law a line") from error
    laws = {}
    for number, line in enumerate(lines, start=1):
        name, _, reason = (part.strip() for part in line.partition("#"))
        if len(name.split()) > 1:
            raise InputError(
                f"{option}: line {number} of {path} is {line.strip()!r}; expected one law a line, its reason after #"
            )
        if name:
            laws[name] = reason
    return laws


def unmatched(laws: dict[str, str], tried: set[str]) -> list[str]:
    """Say, for each name in a file that no test of this run has, why."""
    return [
        f"{name!r} is a law, but not of anything that is tried here" if name in LAWS else f"{name!r} is no law"
        for name in laws
        if name not in tried
    ]

"""What the command line names: versions of implementations, and lists of laws."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from ks_core.conformance.registry import LAWS
from ks_core.errors import InputError


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

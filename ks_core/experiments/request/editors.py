"""Anyone's editors that a command line names, ready to be run in streams of edits."""

from __future__ import annotations

from collections.abc import Iterable

from ks_core.command import imported
from ks_core.theory.editors import EditFunction, check_editors


def named_editors(option: str, specs: Iterable[str]) -> dict[str, EditFunction]:
    """Import editors and try each on a small weight, before it costs any work.

    Args:
        option: by which they were given, for errors.
        specs: import paths, `their_package.module:function`; what is given twice is run once.

    Returns:
        By import path, which is what tables and figures call them.

    Raises:
        InputError: a path that leads nowhere, or to what is no editor, or to one that raises.
        ReturnedError: an editor that returns no new weight.

    Example:
        >>> list(named_editors("--editor", ["ks_core.conformance.reference:joint"]))
        ['ks_core.conformance.reference:joint']
    """
    return check_editors({spec: imported(option, spec) for spec in specs})

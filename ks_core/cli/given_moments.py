"""--moments: second moments of another project's files, in the place of a pass over text."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ks_core.cli.arguments import Add
from ks_core.command import given, integer
from ks_core.errors import InputError
from ks_core.formatting import shown

if TYPE_CHECKING:
    from ks_core.measurement.moments.second_moments import SecondMoments
    from ks_core.models.loaded import LoadedModel

STATED = {
    "stated_text": "text",
    "stated_longest_text": "longest_text",
    "stated_revision": "revision",
    "stated_dtype": "dtype",
}
"""Option → argument of `import_moments`."""


def declare_moments(add: Add) -> None:
    """--moments and --stated-...: files to import, and what they cannot say of themselves."""
    add(
        "--moments",
        type=given,
        metavar="PATH",
        help="second moments from another project's statistics: a .npz, a folder of them, or its stats_dir",
    )
    stated = "(recorded as stated, not checked)"
    add("--stated-text", type=given, metavar="TEXT", help=f"what text those are of {stated}")
    add("--stated-longest-text", type=integer(1), metavar="N", help=f"tokens after which a text was cut {stated}")
    add("--stated-revision", type=given, metavar="TEXT", help=f"revision of the model they are of {stated}")
    add("--stated-dtype", type=given, metavar="TEXT", help=f"dtype of its forward passes {stated}")


def check_moments(options: argparse.Namespace, **unused: object) -> None:
    """Refuse what means nothing with --moments, or without it, before a model is loaded.

    Args:
        options: of a command.
        unused: options that --moments takes the place of, by name, with the value each has where it is not given.

    Raises:
        InputError: names the option.
    """
    if options.moments is None:
        for option in STATED:
            if getattr(options, option) is not None:
                raise InputError(f"--{_dashed(option)} says something of --moments, which is missing; expected both")
        return
    for option, default in unused.items():
        if getattr(options, option) != default:
            raise InputError(
                f"--{_dashed(option)} is {shown(getattr(options, option))} with --moments, which are of a text of "
                "their own; expected one of the two"
            )


def moments_given(
    options: argparse.Namespace, model: LoadedModel, layers: Sequence[int] | None
) -> SecondMoments | None:
    """What --moments names, for some layers or for all that are there; None where it is not given."""
    if options.moments is None:
        return None
    from ks_core.measurement.moments.peers.imported import import_moments

    stated = {argument: getattr(options, option) for option, argument in STATED.items()}
    return import_moments(options.moments, model, layers=layers, **stated)


def _dashed(option: str) -> str:
    return option.replace("_", "-")

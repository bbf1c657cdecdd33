"""Arguments that several commands take, and what they have in common."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterable
from typing import Any, Protocol

from ks_core import defaults
from ks_core.command import given, integer, number, path
from ks_core.data.facts import PACKAGED_FACTS
from ks_core.data.fixtures import fixture_path
from ks_core.errors import InputError
from ks_core.formatting import one_line, shown


class Add(Protocol):
    """`add_argument` of a parser."""

    def __call__(self, *names: str, **settings: Any) -> Any:
        """Declare an argument."""


def declare_model(add: Add) -> None:
    """--model, --revision, --device, --dtype: what `load_model` takes."""
    add("--model", type=given, default=defaults.MODEL, help="packaged model, local folder or hub id")
    add("--revision", type=given, help="branch, tag or commit of a hub model")
    add("--device", type=given, default=defaults.DEVICE, help="torch device (default: %(default)s)")
    add("--dtype", type=given, default=defaults.DTYPE, help="of the forward passes (default: %(default)s)")


def declare_spread(add: Add) -> None:
    """--device-map, --offload-dir: for commands that read keys only, of a model larger than one device."""
    add(
        "--device-map",
        type=given,
        metavar="WAY",
        help="instead of --device, for a model larger than one: auto, balanced, balanced_low_0 or sequential",
    )
    add(
        "--offload-dir",
        type=path,
        metavar="DIR",
        help="with --device-map: folder for weights that no memory is left for",
    )


def loading(options: argparse.Namespace) -> dict[str, Any]:
    """What `declare_model` and `declare_spread` got, as `load_model` takes it beside the name.

    Raises:
        InputError: a device and a map at once, or a folder without a map.
    """
    spread = {"device_map": options.device_map, "offload_dir": options.offload_dir}
    if options.device_map is None and options.offload_dir is not None:
        raise InputError("--offload-dir was given without --device-map, where it means nothing; expected both or none")
    if options.device_map is not None and options.device != defaults.DEVICE:
        raise InputError(
            f"--device is {shown(options.device)} and --device-map {shown(options.device_map)}; expected one of them: "
            "a map takes all GPUs, and CUDA_VISIBLE_DEVICES says which there are"
        )
    device = None if options.device_map is not None else options.device
    return {"revision": options.revision, "device": device, "dtype": options.dtype, **spread}


def declare_text(add: Add) -> None:
    """--corpus, --tokens, --ridge: the second moment that edits are written with."""
    add("--corpus", type=given, default=defaults.CORPUS, help="text of the second moments, as --ks-corpus")
    add("--tokens", type=integer(), default=defaults.TOKENS, help="how much of it (default: %(default)s)")
    add("--ridge", type=number, default=0.0, help="added to second moments, in mean eigenvalues (default: %(default)g)")


def declare_keep(add: Add) -> None:
    """--keep: facts that are to stay."""
    add(
        "--keep",
        metavar="FILE",
        type=given,
        default=PACKAGED_FACTS,
        help="facts to keep (default: the packaged ones the model knows)",
    )


def declare_editors(add: Add) -> None:
    """--editor: anyone's editors, which streams run too."""
    add(
        "--editor",
        action="append",
        default=[],
        type=given,
        metavar="MODULE:NAME",
        help="run edit(weight, keys, values, second_moment) -> new weight too; can be given several times",
    )


def declare_limits(add: Add) -> None:
    """--fail-over, --fail-overtaken, --strict: what ends a command with status 1."""
    add("--fail-over", type=number, metavar="NATS", help="exit with 1 where a fact to keep loses more, in nats a token")
    add("--fail-overtaken", type=integer(0), metavar="N", help="exit with 1 where another object overtakes more facts")
    add("--strict", action="store_true", help="exit with 1 where the value of an edit does not reach its probability")


def inputs(options: argparse.Namespace, **own: str) -> dict[str, str]:
    """What a command reads, by the names that errors call them: no output may be written over one of them."""
    keep = str(fixture_path("facts/facts.json")) if options.keep == PACKAGED_FACTS else options.keep
    return {**own, "--keep": keep, "--corpus": options.corpus, "--model": options.model}


def warn(said: Iterable[warnings.WarningMessage]) -> None:
    """Print warnings that are meant for the user, a line each, on standard error."""
    for warning in said:
        if warning.category is UserWarning:
            print(f"warning: {one_line(warning.message)}", file=sys.stderr)

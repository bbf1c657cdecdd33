"""`ks COMMAND`: which commands there are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ks_core import __version__
from ks_core.cli import audit, compare, diff, edit, moments, report, stream, undo, verify
from ks_core.command import Parser, run

COMMANDS = {
    "audit": audit,
    "compare": compare,
    "diff": diff,
    "edit": edit,
    "moments": moments,
    "report": report,
    "stream": stream,
    "undo": undo,
    "verify": verify,
}
"""By name, the module of each command: HELP in one line, DESCRIPTION, `declare(add)` its arguments, `execute(options)`
does the work and returns the exit status. What is large is imported in `execute`, so that `ks --help` is quick and
what is not installed is one clear error."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status, 2 for input that cannot be used."""
    parser = Parser(prog="ks", description="knowledge superposition in language models")
    parser.add_argument("--version", action="version", version=f"ks_core {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        command.declare(commands.add_parser(name, help=command.HELP, description=command.DESCRIPTION).add_argument)
    options = parser.parse_args(arguments)
    return run(
        f"ks {options.command}",
        partial(COMMANDS[options.command].execute, options),
        interrupted="interrupted; what was measured is cached, the same command goes on there",
    )

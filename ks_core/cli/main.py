"""`ks COMMAND`: which commands there are."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType

from ks_core import __version__
from ks_core.cli import audit, compare, diff, edit, measure, models, moments, report, stream, undo, verify
from ks_core.cli.output import quietly, unmixed
from ks_core.command import Parser, run

COMMANDS = {
    "audit": audit,
    "compare": compare,
    "diff": diff,
    "edit": edit,
    "measure": measure,
    "models": models,
    "moments": moments,
    "report": report,
    "stream": stream,
    "undo": undo,
    "verify": verify,
}
"""By name, the module of each command: HELP in one line, DESCRIPTION, EXAMPLES that run, FINDING, which is what exit
status 1 means, `declare(add)` its arguments, `execute(options)` does the work and returns the exit status. What is
large is imported in `execute`, so that `ks --help` is quick and what is not installed is one clear error."""

FILES = ("json", "csv", "trace", "out")
"""Options with a file that may be the standard output; its page is then printed elsewhere."""

INTERRUPTED = "interrupted; what was measured is cached, the same command goes on there"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status, 2 for input that cannot be used."""
    options = parsed(arguments)

    def execute() -> int:
        files = (getattr(options, name, None) for name in FILES)
        with quietly(options.quiet), unmixed(*files, quiet=options.quiet):
            return int(COMMANDS[options.command].execute(options))

    return run(f"ks {options.command}", execute, interrupted=INTERRUPTED)


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of a command; what it does not know is its own error, not that of all commands."""
    made = parser()
    complete(made)
    options, unknown = made.parse_known_args(arguments)
    if unknown:
        made.prog = f"ks {options.command}"
        made.error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def complete(made: Parser) -> None:
    """Answer a shell that asks what can follow (it sets an environment variable), where argcomplete is installed."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    with suppress(ImportError):
        import argcomplete

        argcomplete.autocomplete(made)


def parser() -> Parser:
    """The parser of all commands."""
    made = Parser(
        prog="ks",
        description="knowledge superposition in language models",
        epilog="\n  ".join([BEGINNING, *EXAMPLES]),
        formatter_class=Formatter,
    )
    made.add_argument("--version", action="version", version=f"ks_core {__version__}")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        about = {"help": command.HELP, "description": command.DESCRIPTION, "epilog": epilog(command)}
        command.declare(commands.add_parser(name, formatter_class=Formatter, **about).add_argument)
    return made


def epilog(command: ModuleType) -> str:
    """What --help ends with: two examples, and what the exit status says."""
    return "\n".join(
        [
            BEGINNING,
            *(f"  {example}" for example in command.EXAMPLES),
            "",
            "exit status:",
            "  0  done" + (", and nothing is wrong" if command.FINDING else ""),
            *([f"  1  {command.FINDING}"] if command.FINDING else []),
            "  2  input that cannot be used, or output that cannot be written; nothing is written",
            "  130  interrupted",
        ]
    )


BEGINNING = "examples:"

EXAMPLES = ("ks measure toy", "ks audit --help")


class Formatter(argparse.HelpFormatter):
    """argparse's formatter, which leaves the lines of an epilog as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(BEGINNING):
            return "\n".join(indent + line for line in text.splitlines())
        return super()._fill_text(text, width, indent)

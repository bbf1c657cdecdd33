"""Pages made from the code at each build: options of every command and of pytest, and the public names."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

from ks_core.command import Parser

_OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")


def commands() -> str:
    """Every command of `ks`: what it does, how it is called, its arguments."""
    modules = importlib.import_module("ks_core.cli.main").COMMANDS
    return "\n".join(of_command(name, module) for name, module in sorted(modules.items()))


def of_command(name: str, module: Any) -> str:
    """A section about a command, from the module that declares it."""
    parser = Parser(prog=f"ks {name}", description=module.DESCRIPTION)
    module.declare(parser.add_argument)
    formatter = argparse.HelpFormatter(parser.prog, width=88)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups, prefix="")
    rows = [(_called(action), _help(parser, action)) for action in parser._actions if action.dest != "help"]
    examples = "\n".join(getattr(module, "EXAMPLES", ()))
    finding = getattr(module, "FINDING", None)
    return "\n".join(
        [
            f"## ks {name}\n\n{plain(module.DESCRIPTION)}\n",
            f"```text\n{formatter.format_help().rstrip()}\n```\n",
            *([f"```bash\n{examples}\n```\n"] if examples else []),
            *([f"Exit status 1: {plain(finding)}.\n"] if finding else []),
            table("argument", rows),
        ]
    )


def pytest_options() -> str:
    """The options that the two plugins add to pytest."""
    return "\n".join(
        f"## {title}\n\n{table('option', list(options_of(importlib.import_module(module))))}"
        for title, module in (
            ("Of a measurement", "ks_core.pytest_plugin"),
            ("Of the conformance suite", "ks_core.pytest_conformance"),
        )
    )


def options_of(plugin: Any) -> Iterator[tuple[str, str]]:
    """Options that a plugin of pytest declares, with what they do."""
    found: list[argparse.Action] = []
    parser = argparse.ArgumentParser(add_help=False)

    def add(*names: str, **settings: Any) -> None:
        found.append(parser.add_argument(*names, **settings))

    group = SimpleNamespace(addoption=add)
    plugin.pytest_addoption(SimpleNamespace(getgroup=lambda *_: group, addini=lambda *_, **__: None))
    for action in found:
        yield _called(action), _help(parser, action)


def names_of(module: str) -> str:
    """A section for each public name of a module, from its docstring."""
    home = importlib.import_module(module)
    return "\n".join(_named(f"{module}.{name}", getattr(home, name)) for name in home.__all__)


def modules_of(package: str) -> str:
    """A section for each module of a room, with all of its public names."""
    found = sorted(name for _, name, _ in pkgutil.iter_modules(importlib.import_module(package).__path__))
    return "\n".join(
        f"## {package.removeprefix('ks_core.')}.{name}\n\n{_rst(f'.. automodule:: {package}.{name}', ':members:')}"
        for name in found
    )


def _named(name: str, of: Any) -> str:
    directive = (f".. autoclass:: {name}", ":members:") if isinstance(of, type) else (f".. autofunction:: {name}",)
    return f"## {name.split('.')[-1]}\n\n{_rst(*directive)}"


def _rst(*lines: str) -> str:
    return "```{eval-rst}\n" + "\n   ".join(lines) + "\n```\n"


def table(head: str, rows: list[tuple[str, str]]) -> str:
    """Rows of an argument and what it does as a table of Markdown.

    Example:
        >>> print(table("option", [("--n N", "how many: *a|b*")]), end="")
        | option | what it does |
        |---|---|
        | `--n N` | how many: \\*a\\|b\\* |
    """
    lines = [f"| `{name}` | {plain(words)} |" for name, words in rows]
    return "\n".join([f"| {head} | what it does |", "|---|---|", *lines]) + "\n"


def plain(words: str) -> str:
    """A text that means itself, as Markdown; what is between backticks stays code, and options become it."""
    spans = _OPTION.sub(r"`\g<0>`", " ".join(words.split())) if "`" not in words else " ".join(words.split())
    parts = spans.split("`")
    outside = [_escaped(part) if place % 2 == 0 else part for place, part in enumerate(parts)]
    return "`".join(outside)


def _escaped(words: str) -> str:
    return "".join(f"\\{letter}" if letter in r"\*_[]<>|#$~" else letter for letter in words)


def _called(action: argparse.Action) -> str:
    """An argument as it is written, with its value's name."""
    if not action.option_strings:
        return str(action.metavar or action.dest)
    name = ", ".join(action.option_strings)
    if action.nargs == 0:
        return name
    value = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    )
    several = " …" if action.nargs in ("+", "*") else ""
    return f"{name} {value}{several}".replace("|", "/")


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Its help with the default put in."""
    return "" if not action.help else str(action.help % {**vars(action), "prog": parser.prog})


GENERATED: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "pytest": pytest_options,
    "names": partial(names_of, "ks_core"),
    "conformance": partial(names_of, "ks_core.conformance"),
    "theory": partial(modules_of, "ks_core.theory"),
    "statistics": partial(modules_of, "ks_core.statistics"),
}
"""What makes the Markdown that a page's marker names."""

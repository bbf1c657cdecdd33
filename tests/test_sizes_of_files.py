"""No file and no function of ours is too long to be read at once."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("ks_core", "tests", "tools", "bench", "docs", "fixtures")
LINES = 300
CODE = 50
"""Lines of a function without its docstring, blank lines or lines of comments."""


def code_lines(function, lines):
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = range(first.lineno, first.end_lineno + 1) if documented else range(0)
    inside = [number for number in range(function.lineno, function.end_lineno + 1) if number not in docstring]
    return sum(bool(lines[number - 1].strip()) and not lines[number - 1].strip().startswith("#") for number in inside)


def too_long(name, source):
    """What of a file is: itself, or functions of it."""
    lines = source.splitlines()
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    found = [f"{name}: {len(lines)} lines"] if len(lines) > LINES else []
    counts = ((f"{name}:{of.lineno} {of.name}", code_lines(of, lines)) for of in functions)
    return found + [f"{where}: {count} lines of code" for where, count in counts if count > CODE]


def test_files_and_functions_can_be_read_at_once():
    files = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
    assert len(files) > 200, "the rooms have moved"
    faults = [too_long(file.relative_to(ROOT), file.read_text(encoding="utf-8")) for file in files]
    assert [fault for of_file in faults for fault in of_file] == []


def test_planted_fault_a_long_file_and_a_long_function_are_found():
    body = "    x = 1\n" * (CODE - 1)
    assert too_long("a.py", f'def f():\n    """Two\n    lines."""\n\n    # why\n{body}') == []
    assert too_long("a.py", f"def f():\n{body}    x = 2\n") == ["a.py:1 f: 51 lines of code"]
    assert too_long("a.py", "x = 1\n" * LINES) == []
    assert too_long("a.py", "x = 1\n" * (LINES + 1)) == ["a.py: 301 lines"]

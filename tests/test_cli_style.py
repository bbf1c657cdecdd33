"""What all commands have in common: examples that parse, exit statuses, --json, --quiet, and errors in one line."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys

import pytest
from checkout import ROOT
from errors import says
from warm import run_module

from ks_core.cli.main import BEGINNING, COMMANDS, EXAMPLES, parsed, parser
from ks_core.cli.output import write_json


def parser_of(name):
    (actions,) = (of for of in parser()._actions if isinstance(of, argparse._SubParsersAction))
    return actions.choices[name]


def run(folder, *words):
    environment = {**os.environ, "KS_CORE_CACHE": str(folder / "cache"), "PIP_NO_INDEX": "1", "HF_HUB_OFFLINE": "1"}
    return run_module("ks_core.cli", *words, cwd=folder, env=environment)


def test_help_of_all_begins_somewhere(capsys):
    for words in (shlex.split(example)[1:] for example in EXAMPLES):
        assert words[0] in COMMANDS
    assert parser().format_help().endswith("examples:\n  ks measure toy\n  ks audit --help\n")
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(shlex.split(EXAMPLES[1])[1:])
    assert ended.value.code == 0
    assert "usage: ks audit" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_two_examples_that_parse_and_with_what_the_status_says(name):
    said = parser_of(name).format_help()
    after = said.partition(BEGINNING)[2]
    examples = [
        line.strip() for line in after.splitlines() if line.startswith(f"  ks {name} ") or line == f"  ks {name}"
    ]
    assert examples == list(COMMANDS[name].EXAMPLES)
    assert len(examples) == 2
    for example in examples:
        program, *words = shlex.split(example)
        assert program == "ks"
        assert parser().parse_args(words).command == name
    statuses = re.findall(r"^  (\d+)  ", after, re.MULTILINE)
    assert statuses == ["0", *(["1"] if COMMANDS[name].FINDING else []), "2", "130"]


@pytest.mark.parametrize("name", COMMANDS)
def test_planted_fault_an_example_that_no_parser_takes_is_seen(name):
    with pytest.raises(SystemExit):
        parser().parse_args([*shlex.split(COMMANDS[name].EXAMPLES[0])[1:], "--no-such-option"])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_json_and_quiet_and_documents_each_option(name):
    actions = {option: of for of in parser_of(name)._actions for option in of.option_strings}
    assert {"--json", "--quiet", "--help"} <= set(actions)
    assert all(of.help for of in parser_of(name)._actions)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("words", [["--json", ""], ["--json"], ["--quiet=yes"]])
def test_an_option_of_another_kind_is_one_line_on_standard_error_and_status_2(name, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args([*shlex.split(COMMANDS[name].EXAMPLES[0])[1:], *words])
    assert stopped.value.code == 2
    out, errors = capsys.readouterr()
    (line,) = errors.splitlines()
    assert out == ""
    says(line, what=(f"ks {name}: error: argument {words[0].partition('=')[0]}",), remedy=f"see ks {name} --help")


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("words", [["--jso", "x"], ["--quie"], ["--qui"]])
def test_options_are_taken_by_their_whole_names_only(name, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        parsed([*shlex.split(COMMANDS[name].EXAMPLES[0])[1:], *words])
    assert stopped.value.code == 2
    says(capsys.readouterr().err, what=(f"ks {name}: error: unrecognized arguments: {words[0]}",))


MISSING = {
    "audit": ["no.json"],
    "compare": ["no.json", "nor.json"],
    "diff": ["./no", "./nor"],
    "edit": ["no.json", "--out", "folder"],
    "measure": ["./no"],
    "models": ["./no"],
    "moments": ["./no"],
    "report": ["no"],
    "stream": ["--model", "./no"],
    "undo": ["no", "--case", "3"],
    "verify": ["no"],
}
OTHER_KIND = {
    "audit": ["e.json", "--layer", "first"],
    "compare": ["a", "b", "--top", "many"],
    "diff": ["toy", "toy", "--tokens", "many"],
    "edit": ["e.json", "--tokens", "many"],
    "measure": ["toy", "--seed", "one"],
    "models": ["toy", "--json", " "],
    "moments": ["toy", "--memory", "much"],
    "report": ["ks-results", "--out", " "],
    "stream": ["--edits", "0"],
    "undo": ["folder", "--case", "one"],
    "verify": ["folder", "--model", ""],
}
CONFLICTING = {
    "audit": ["e.json", "--stated-text", "a text"],
    "compare": ["a.json", "b.json", "--strict"],
    "diff": ["toy", "toy", "--fail-over", "1"],
    "edit": ["e.json"],
    "measure": ["toy", "--revision", "main", "--parts", "pairs"],
    "models": ["toy", "--revision", "main"],
    "moments": ["toy", "--batches", "3"],
    "report": ["e.json", "--json", "page", "--out", "page"],
    "stream": ["--model", "toy", "--revision", "main"],
    "undo": ["toy"],
    "verify": ["folder", "nor"],
}


def test_every_command_is_given_bad_input_of_each_kind():
    assert set(MISSING) == set(OTHER_KIND) == set(CONFLICTING) == set(COMMANDS)


@pytest.mark.parametrize(
    "words", [[name, *words] for of in (MISSING, OTHER_KIND, CONFLICTING) for name, words in of.items()]
)
def test_bad_input_ends_with_2_and_one_line_and_nothing_is_written(words, tmp_path):
    (tmp_path / "e.json").write_text(json.dumps(FACTS))
    found = run(tmp_path, *words, "--quiet")
    assert (found.returncode, found.stdout) == (2, ""), found.stderr
    (line,) = found.stderr.splitlines()
    assert line.startswith(f"ks {words[0]}: error: ")
    assert {path.name for path in tmp_path.iterdir()} <= {"e.json", "cache"}
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


FACTS = [
    {
        "case_id": 1,
        "requested_rewrite": {
            "prompt": "{} lies in",
            "relation_id": "P17",
            "subject": "Nara",
            "target_true": {"str": "Japan"},
            "target_new": {"str": "Peru"},
        },
        "paraphrase_prompts": [],
        "neighborhood_prompts": [],
    }
]


def test_json_names_its_format_first_and_has_no_nan(tmp_path):
    write_json(tmp_path / "out.json", "ks_core/test/1", {"number": float("nan"), "pair": (1, 2)})
    assert list(json.loads((tmp_path / "out.json").read_text()).items()) == [
        ("format", "ks_core/test/1"),
        ("number", None),
        ("pair", [1, 2]),
    ]


@pytest.mark.parametrize(
    "words", [["models"], ["models", "toy"], ["measure", "toy", "--dry-run"], ["moments", "toy", "--dry-run"]]
)
@pytest.mark.parametrize("place", ["/dev/stdout", "/dev/fd/1"])
def test_json_on_the_standard_output_is_all_that_is_there(words, place, tmp_path):
    found = run(tmp_path, *words, "--json", place)
    assert found.returncode == 0
    assert json.loads(found.stdout)["format"].startswith("ks_core/")
    page = run(tmp_path, *words).stdout.splitlines()
    assert found.stderr.splitlines()[0] == page[0], "the page is on the other stream"
    quiet = run(tmp_path, *words, "--json", place, "--quiet")
    assert json.loads(quiet.stdout).keys() == json.loads(found.stdout).keys()
    assert quiet.stderr == ""


@pytest.mark.parametrize("streams", [{"stderr": subprocess.STDOUT}, {"stderr": None}])
def test_json_is_not_mixed_with_the_page_where_both_streams_are_one_file(streams, tmp_path):
    """A redirected `> file 2>&1`, and a file that is named twice."""
    target = tmp_path / "out.json"
    with target.open("w") as out:
        command = [sys.executable, "-m", "ks_core.cli", "models", "--json", str(target)]
        subprocess.run(command, cwd=ROOT, stdout=out, check=True, **streams)
    assert len(json.loads(target.read_text())["models"]) == 2


def test_json_that_goes_nowhere_leaves_the_page_where_it_is(tmp_path):
    found = run(tmp_path, "models", "--json", "/dev/null")
    assert found.stdout.startswith("name ")
    assert found.stderr == ""


def test_a_file_that_leads_nowhere_is_called_by_its_option(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    found = run(tmp_path, "models", "--json", "loop")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("ks models: error: --json: loop cannot be written: ")


def test_no_command_is_one_line_too(tmp_path):
    found = run(tmp_path)
    assert found.returncode == 2
    assert found.stderr == "ks: error: the following arguments are required: COMMAND; see ks --help\n"


def test_a_shell_that_asks_is_told_what_can_follow(tmp_path):
    """As argcomplete's own shell function asks: by the environment, and it reads descriptor 8 or a file."""
    pytest.importorskip("argcomplete", reason="tab completion is not installed")
    line = "ks mea"
    environment = {**os.environ, "_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9"}
    environment |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "said"), "_ARGCOMPLETE_IFS": "\n"}
    command = [sys.executable, "-m", "ks_core.cli"]
    subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, check=False)
    assert (tmp_path / "said").read_text().strip() == "measure"

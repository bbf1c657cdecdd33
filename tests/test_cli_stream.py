"""`ks stream` as a user starts it, on a tiny real model, with other people's editors, one of them broken."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from errors import says
from measured import write_everything

from ks_core.cli import main

EDITORS = """
import torch

def sound(weight, keys, values, second_moment):
    for key, value in zip(keys, values):
        direction = torch.linalg.solve(second_moment, key)
        weight = weight + torch.outer(value - weight @ key, direction) / (direction @ key)
    return weight

def breaks(weight, keys, values, second_moment):
    return weight if len(keys) < 5 else weight * float("nan")
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A model, a text, and three times as many subjects as the facts of other tests have."""
    folder = tmp_path_factory.mktemp("stream")
    paths = write_everything(folder, "llama", layers=3)
    content = json.loads((folder / "facts.json").read_text())
    records = [json.loads(json.dumps(record)) for _ in range(3) for record in content["facts"][:24]]
    for number, record in enumerate(records):
        record["case_id"] = number
        rewrite = record["requested_rewrite"]
        rewrite["subject"] = (
            f"{('Upper', 'Lower', 'Inner')[number // 24]} {rewrite['subject']} {number % 24 // 12 * 'End'}"
        )
        rewrite["subject"] = rewrite["subject"].strip()
    (folder / "facts.json").write_text(json.dumps({**content, "facts": records}))
    (folder / "stream_editors.py").write_text(EDITORS)
    return folder, paths


@pytest.fixture
def stream(prepared, monkeypatch):
    """Run the command in this process; its exit status and what it said."""
    return starter(prepared, monkeypatch)


def starter(prepared, patch):
    folder, paths = prepared
    patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
    patch.syspath_prepend(str(folder))

    def run(*options):
        given = [f"--{name}={path}" for name, path in paths.items()]
        out, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(errors):
            try:
                status = main(["stream", *given, "--tokens=1600", "--edits=8", "--orders=1", *map(str, options)])
            except SystemExit as stop:
                status = stop.code
        return status, out.getvalue(), errors.getvalue()

    return run


@pytest.fixture(scope="module")
def done(prepared):
    """One whole run with a sound and a broken editor, in the last layer of three."""
    folder, _ = prepared
    with pytest.MonkeyPatch.context() as patch:
        run = starter(prepared, patch)
        editors = ("--editor=stream_editors:sound", "--editor=stream_editors:breaks")
        status, said, errors = run(
            *editors, "--layer=2", f"--json={folder / 'out.json'}", f"--figures={folder / 'figs'}"
        )
    assert status == 0, errors
    return folder, said, json.loads((folder / "out.json").read_text())


def test_a_stream_is_shown_as_tables_written_as_json_and_drawn(done):
    folder, said, written = done
    assert "long streams in layer 2: 8 edits in 1 orders" in said
    assert written["format"] == "ks_core/stream/1"
    assert (written["lifelong"]["layer"], len(written["lifelong"]["edited_case_ids"])) == (2, 8)
    names = {path.name for path in (folder / "figs").iterdir()}
    assert names == {"frontier.png", "lifelong.png", "forecast.png"}
    assert all(f"figs/{name}" in said.splitlines()[-1] for name in names)


def test_a_sound_editor_stands_beside_the_method_that_it_is(done):
    curves = {curve["method"]: curve for curve in done[2]["lifelong"]["curves"] if curve["default"]}
    theirs, ours = (curves[name]["looks"][-1]["scores"] for name in ("stream_editors:sound", "sequential"))
    for name in ("retention", "watched change", "growth"):
        assert theirs[name]["value"] == pytest.approx(ours[name]["value"], abs=1e-4), name


def test_an_editor_that_breaks_in_the_middle_says_so_and_the_others_finish(done):
    _, said, written = done
    (row,) = (line for line in said.splitlines() if line.startswith("8      stream_editors:breaks"))
    assert "failed: " in row
    curves = {curve["method"]: curve for curve in written["lifelong"]["curves"]}
    assert "stream_editors:breaks" in curves["stream_editors:breaks"]["failed"]
    assert curves["joint"]["failed"] is None


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--editor=nowhere:edit"], {"what": "--editor", "got": "'nowhere'", "expected": "this Python finds"}),
        (["--editor=stream_editors"], {"what": "--editor", "expected": "their_package.module:function"}),
        (["--editor=json:dumps"], {"what": "json:dumps", "got": "TypeError"}),
        (["--json=FOLDER"], {"what": "--json", "got": "is a folder", "expected": "a file"}),
        (["--json=FOLDER/facts.json"], {"what": "--json", "got": "read as --facts", "expected": "another file"}),
        (["--figures=FOLDER/text.txt"], {"what": "--figures", "got": "no folder", "expected": "can be written"}),
        (["--layer=99"], {"what": "layer 99", "expected": "0 to 2"}),
        (["--edits=7"], {"what": "7 edits", "expected": "8 edits at least"}),
        (["--facts=nowhere.json"], {"got": "nowhere.json"}),
        (["--orders=0"], {"what": "--orders", "got": "'0'", "expected": "at least 1"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_used_is_one_line_and_status_2(stream, prepared, options, parts):
    status, said, errors = stream(*(option.replace("FOLDER", str(prepared[0])) for option in options))
    assert (status, said) == (2, "")
    says(errors.splitlines()[-1], **parts)
    assert "Traceback" not in errors


def test_figures_that_cannot_be_drawn_end_in_status_2_after_the_tables(prepared, monkeypatch, tmp_path):
    """A folder stands where a figure goes; everything else is written and told."""
    (tmp_path / "frontier.png").mkdir()
    (Path(tmp_path) / "frontier.png" / "in the way").touch()
    status, said, errors = starter(prepared, monkeypatch)("--layer=2", f"--figures={tmp_path}")
    assert status == 2
    assert "ks stream: error: figure frontier.png was not drawn" in errors
    assert "methods as published" in said
    assert (tmp_path / "lifelong.png").is_file()

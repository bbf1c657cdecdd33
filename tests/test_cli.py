"""`ks audit` as a user starts it, on a tiny real model."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from errors import says
from measured import write_everything

from ks_core.cli import main
from ks_core.data.facts import load_facts


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    paths = write_everything(folder, "llama", layers=2)
    records = json.loads((folder / "facts.json").read_text())
    for name, part in {"edits": records["facts"][24:26], "keep": records["facts"][30:36]}.items():
        (folder / f"{name}.json").write_text(json.dumps(part))
    return folder, paths


def command(prepared, *options, edits="edits.json"):
    folder, paths = prepared
    given = ["--keep", folder / "keep.json", "--model", paths["model"], "--corpus", paths["corpus"], "--tokens", 1600]
    return [str(word) for word in ("audit", folder / edits, *given, *options)]


def run(arguments, folder, **environment):
    given = {**os.environ, "KS_CORE_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1", **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "ks_core.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=given,
    )


def test_audit_prints_a_table_and_writes_json(prepared, monkeypatch, capsys):
    folder, _ = prepared
    monkeypatch.setenv("KS_CORE_CACHE", str(folder / "cache"))
    assert main(command(prepared, "--json", folder / "out.json", "--top", 2)) == 0
    said = capsys.readouterr().out
    edits = load_facts(folder / "edits.json").facts
    for edit in edits:
        assert f"{edit.text} {edit.target_true} -> {edit.target_new}" in said
    assert "all edits together (joint)" in said
    content = json.loads((folder / "out.json").read_text())
    assert [record["case_id"] for record in content["edits"]] == [fact.case_id for fact in edits]


def test_contradicting_edits_are_warned_of_on_the_terminal(prepared, monkeypatch, capsys):
    folder, _ = prepared
    monkeypatch.setenv("KS_CORE_CACHE", str(folder / "cache"))
    first = json.loads((folder / "edits.json").read_text())[0]
    second = json.loads(json.dumps(first)) | {"case_id": 999}
    rewrite = second["requested_rewrite"]
    rewrite["target_new"], rewrite["target_true"] = rewrite["target_true"], rewrite["target_new"]
    (folder / "twice.json").write_text(json.dumps([first, second]))
    assert main(command(prepared, "--layer", 1, edits="twice.json")) == 0
    assert f"warning: edits {first['case_id']} and 999 contradict each other" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layer", "9"], "layer 9 does not exist; expected 0 to 1"),
        (["--keep", "nowhere.json"], "nowhere.json cannot be read"),
        (["--tokens", "5"], "d_key"),
        (["--dtype", "float8"], "dtype is 'float8'"),
        (["--json", "/proc/nowhere/out.json"], "/proc/nowhere"),
    ],
)
def test_bad_input_is_one_line_and_status_2(prepared, options, message, monkeypatch, capsys):
    monkeypatch.setenv("KS_CORE_CACHE", str(prepared[0] / "cache"))
    assert main(command(prepared, *options)) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ks audit: error: ")]
    assert len(lines) == 1
    assert message in lines[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--top", "-1"], "argument --top: '-1'; expected an integer of at least 0"),
        (["--top", "9" * 25_000], "expected an integer of at least 0"),
        (["--layer", "x" * 25_000], "expected an integer"),
        (["--layer", "\x1b[2J"], r"'\x1b[2J'; expected an integer"),
        (["--json", ""], "argument --json: ''; expected a name or a path"),
        (["--model="], "argument --model: ''; expected a name or a path"),
        (["--" + "y" * 25_000], "unrecognized arguments"),
    ],
)
def test_arguments_of_another_kind_are_one_short_line_and_status_2(prepared, options, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(command(prepared, *options))
    assert ended.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert message in line
    assert len(line) < 700


@pytest.mark.parametrize("spelling", ["edits.json", "./edits.json", "symbolic.json", "hard.json"])
def test_the_json_is_not_written_over_the_edits(prepared, spelling, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = (prepared[0] / "edits.json").read_bytes()
    edits = tmp_path / "edits.json"
    edits.write_bytes(before)
    (tmp_path / "symbolic.json").symlink_to("edits.json")
    (tmp_path / "hard.json").hardlink_to(edits)
    assert main(command(prepared, "--json", spelling, edits=edits)) == 2
    assert "is read as EDITS; expected another file to write to" in capsys.readouterr().err
    assert edits.read_bytes() == before


@pytest.mark.parametrize("read", ["keep", "corpus", "model"])
def test_the_json_is_not_written_over_what_else_is_read(prepared, read, monkeypatch, capsys):
    folder, paths = prepared
    monkeypatch.setenv("KS_CORE_CACHE", str(folder / "cache"))
    files = {"keep": folder / "keep.json", "corpus": paths["corpus"], "model": f"{paths['model']}/config.json"}
    assert main(command(prepared, "--json", files[read])) == 2
    assert f"is read as --{read}" in capsys.readouterr().err


def test_the_json_is_whole_where_the_reader_of_the_table_stops(prepared, tmp_path):
    folder, _ = prepared
    out = tmp_path / "out.json"
    process = run(command(prepared, "--json", out, "--top", 6), folder, PYTHONUNBUFFERED="1")
    process.stdout.close()
    with process.stderr:
        complained = process.stderr.read()
    assert process.wait() == 2
    assert "Traceback" not in complained
    says(complained.splitlines()[-1], what="ks audit: error: ", got="closed it")
    assert len(json.loads(out.read_text())["edits"]) == 2


def test_a_table_that_no_encoding_of_the_terminal_has_is_printed_in_escapes(prepared):
    folder, _ = prepared
    process = run(command(prepared), folder, PYTHONIOENCODING="ascii")
    said, complained = process.communicate()
    assert process.returncode == 0, complained
    assert "\\xb1" in said


def test_an_edit_whose_prompt_lacks_its_subject_is_refused(prepared, capsys):
    folder, _ = prepared
    record = json.loads((folder / "edits.json").read_text())[0]
    record["requested_rewrite"]["prompt"] = "The city lies in"
    (folder / "lost.json").write_text(json.dumps([record]))
    assert main(command(prepared, edits="lost.json")) == 2
    assert "with 0 places for the subject; expected exactly one {}" in capsys.readouterr().err


def test_an_interrupt_leaves_no_half_written_file_and_the_next_run_finishes(prepared, tmp_path, monkeypatch):
    out = tmp_path / "out.json"
    process = run(command(prepared, "--json", out), tmp_path)
    while not (tmp_path / "cache" / "moments").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, complained = process.communicate()
    if process.returncode:  # it may have been faster than the signal
        assert process.returncode == 130, complained
        assert "interrupted" in complained
        assert not out.exists()
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))
    assert main(command(prepared, "--json", out)) == 0
    assert json.loads(out.read_text())["format"] == "ks_core/audit/3"


def test_edits_that_break_more_than_allowed_end_with_status_1(prepared, monkeypatch, capsys):
    """As a gate in front of an edit: the table is there all the same, and the reason on standard error."""
    monkeypatch.setenv("KS_CORE_CACHE", str(prepared[0] / "cache"))
    assert main(command(prepared, "--layer", 0, "--fail-over", 1000, "--fail-overtaken", 1000)) == 0
    said = capsys.readouterr()
    assert "FAILED" not in said.err
    assert main(command(prepared, "--layer", 0, "--fail-over", 0)) == 1
    said = capsys.readouterr()
    assert "ks audit: FAILED: " in said.err
    assert "lose more than 0 nats" in said.err
    assert "nothing was edited" in said.out
    assert main(command(prepared, "--layer", 0, "--strict")) == int("NOT REACHED" in said.out)


def test_what_is_simulated_is_written_as_csv(prepared, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KS_CORE_CACHE", str(prepared[0] / "cache"))
    out = tmp_path / "out.csv"
    assert main(command(prepared, "--layer", 0, "--exact", "all", "--csv", out)) == 0
    assert len(out.read_text().splitlines()) == 1 + 6 + 2 * 6
    assert f"written: {out}" in capsys.readouterr().out
    assert main(command(prepared, "--csv", prepared[0] / "keep.json")) == 2
    assert main(command(prepared, "--csv", out, "--json", out)) == 2


@pytest.mark.parametrize("exact", ["0", "-1", "some", "1.5"])
def test_a_number_of_facts_that_is_none_is_refused(prepared, exact, capsys):
    with pytest.raises(SystemExit):
        main(command(prepared, f"--exact={exact}"))
    assert "expected an integer of at least 1, or all" in capsys.readouterr().err


def test_layers_are_tried_as_asked_for(prepared, monkeypatch, capsys):
    monkeypatch.setenv("KS_CORE_CACHE", str(prepared[0] / "cache"))
    assert main(command(prepared, "--layers", "1")) == 0
    assert "    1  " in capsys.readouterr().out
    assert main(command(prepared, "--layers", "0,7")) == 2
    assert "layer 7 does not exist" in capsys.readouterr().err

"""`ks edit` and `ks undo` as a user starts them: from a file of edits to a certified folder, and what stops it."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from edits_on_disk import cases, more, options, write_files
from errors import says
from patched import dense, snapshot
from peft import PeftModel
from transformers import AutoModelForCausalLM

import ks_core as ks
from ks_core.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = write_files(tmp_path_factory.mktemp("edit"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        yield folder


def test_edits_that_do_not_work_are_not_written(prepared, tmp_path, capsys):
    given = options(prepared, "--layer", 1, "--out", tmp_path / "edits")
    given.remove("--allow-unreached")
    assert main(given) == 1
    said = capsys.readouterr().err
    assert re.search(r"FAILED: 3 of 3 edits do not reach p = 0\.5: New Lyon \(case 25, p = 0\.00\d+\)", said)
    assert "tried in layer 1: try another (--layer), leave edits out" in said
    assert "nothing was written" in said
    assert not (tmp_path / "edits").exists()


def test_three_commands_lead_to_an_adapter_that_holds(prepared, tmp_path, capsys):
    folder = tmp_path / "edits"
    assert main(options(prepared, "--out", folder)) == 0
    said = capsys.readouterr().out
    assert re.search(r"edits: 3 in layer [01] \(joint\)", said)
    assert re.search(r"likelier than their old one +\S+ ± \S+ \(n = 3\)", said)
    assert said.rstrip().endswith(f"next: ks verify {folder}")
    assert main(["verify", str(folder)]) == 0
    assert main(["undo", str(folder), "--case", str(cases(prepared, "edits")[0])]) == 0
    assert main(["verify", str(folder)]) == 0
    assert json.loads((folder / "certificate.json").read_text())["edits"][0]["case_id"] == cases(prepared, "edits")[1]


def test_what_it_says_about_loading_is_code_that_runs(prepared, tmp_path, capsys):
    assert main(options(prepared, "--layer", 1, "--out", tmp_path / "edits", "--no-certificate")) == 0
    said = capsys.readouterr().out
    lines = said.split("to load it:\n")[1].splitlines()
    found: dict[str, object] = {}
    exec("\n".join(line.strip() for line in lines if line.startswith("  ")), found)  # noqa: S102
    [edits] = ks.load_edits(tmp_path / "edits")
    weight = found["model"].merge_and_unload().get_submodule(edits.base.projection(1)).weight.detach().double()
    expected = ks.load_model(prepared / "model").adapter.weight(1).double() + dense(edits)
    torch.testing.assert_close(weight, expected, rtol=1e-5, atol=1e-6)
    assert "ks verify" not in said


def test_a_stream_goes_on_in_its_folder_or_in_another(prepared, tmp_path):
    first, other, at_once = (tmp_path / name for name in ("first", "other", "at_once"))
    assert main(options(prepared, "--layer", 1, "--out", first)) == 0
    before = snapshot(first)
    assert main(more(prepared, "--onto", first, "--out", other, "--as", "model")) == 0
    assert snapshot(first) == before
    assert main(more(prepared, "--onto", first)) == 0
    assert main(options(prepared, "--layer", 1, "--out", at_once, edits="all.json")) == 0
    loaded = [ks.load_edits(folder)[0] for folder in (first, other, at_once)]
    assert [[fact.case_id for fact in edits.facts] for edits in loaded] == [cases(prepared, "all")] * 3
    for edits in loaded[:2]:  # searched beside other edits, whose padding rounds otherwise
        torch.testing.assert_close(dense(edits), dense(loaded[2]), rtol=1e-3, atol=1e-4)
    assert (other / "model.safetensors").is_file()
    assert main(["verify", str(first)]) == main(["verify", str(other)]) == 0


@pytest.mark.parametrize("kind", ["adapter", "model"])
def test_a_second_layer_comes_and_goes_with_its_edits(prepared, tmp_path, capsys, kind):
    """Of another rank than the first; each is loaded by the tool that it is for."""
    folder, base = tmp_path / "edits", ks.load_model(prepared / "model")
    assert main(options(prepared, "--layer", 1, "--as", kind, "--out", folder)) == 0
    capsys.readouterr()
    assert main(more(prepared, "--onto", folder, "--layer", 0)) == 0
    assert "edits: 1 in layer 0 (joint) and 3 in layer 1 (joint)" in capsys.readouterr().out
    edits = ks.load_edits(folder)
    as_other_tools_load_it(prepared, folder, kind, base, {0: dense(edits[0]), 1: dense(edits[1])})
    certificate = json.loads((folder / "certificate.json").read_text())
    assert [(made["layer"], len(made["edits"])) for made in certificate["made"]] == [(0, 1), (1, 3)]
    grown = {name for name in certificate["measured"]["means"] if name.startswith("weight_growth")}
    assert grown == {f"weight_growth {base.adapter.layer_name(layer)}.weight" for layer in (0, 1)}
    assert main(["verify", str(folder)]) == 0
    assert main(["undo", str(folder), "--case", str(cases(prepared, "more")[0])]) == 0
    [left] = ks.load_edits(folder)
    as_other_tools_load_it(prepared, folder, kind, base, {1: dense(left)})
    assert torch.equal(dense(left), dense(edits[1]))
    assert main(["verify", str(folder)]) == 0


def as_other_tools_load_it(prepared, folder, kind, base, changes):
    """Every weight of a projection is the base's and the change of its layer, rounded to float32; with plain PEFT."""
    if kind == "adapter":
        plain = AutoModelForCausalLM.from_pretrained(prepared / "model", dtype=torch.float32)
        edited = PeftModel.from_pretrained(plain, str(folder)).merge_and_unload()
    else:
        edited = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for layer in range(base.adapter.num_layers):
        weight = edited.get_submodule(base.adapter.layer_name(layer)).weight.detach()
        before = base.adapter.weight(layer)
        if layer in changes:
            torch.testing.assert_close(weight.double(), before.double() + changes[layer], rtol=1e-5, atol=1e-6)
            assert not torch.allclose(weight, before, rtol=1e-3, atol=1e-4)
        else:
            assert torch.equal(weight, before)


@pytest.mark.parametrize("measured", [True, False])
def test_an_edited_model_is_edited_once_more(prepared, tmp_path, capsys, measured):
    """What says how the first was made, and what was measured of it, is not said of the second."""
    first, second = tmp_path / "first", tmp_path / "second"
    without = [] if measured else ["--no-certificate"]
    assert main(options(prepared, "--layer", 1, "--as", "model", "--out", first)) == 0
    again = ["--layer", 1, "--as", "model", "--out", second, "--tokens", 1600, "--model", first]
    assert main(more(prepared, *again, *without)) == 0
    assert [fact.case_id for fact in ks.load_edits(second)[0].facts] == cases(prepared, "more")
    assert (second / "certificate.json").exists() is (second / "certificate-inputs.json").exists() is measured
    if measured:
        assert main(["verify", str(second)]) == 0
    assert main(more(prepared, "--onto", second, *without)) == 2, "it is there"
    says(capsys.readouterr().err, what="2 edits have the case id", expected="every case once")
    third = ["edit", prepared / "edits.json", "--onto", second, "--corpus", prepared / "text.txt", *without]
    assert main([str(word) for word in [*third, "--keep", prepared / "keep.json", "--allow-unreached"]]) == 0
    assert main(["undo", str(second), *without, "--case", str(cases(prepared, "more")[0])]) == 0
    assert main(["verify", str(second)]) == (0 if measured else 2)
    assert [fact.case_id for fact in ks.load_edits(second)[0].facts] == cases(prepared, "edits")


def test_edits_that_break_too_much_are_not_written(prepared, tmp_path, capsys):
    assert main(options(prepared, "--layer", 1, "--out", tmp_path / "edits", "--fail-over", 0, "--strict")) == 1
    said = capsys.readouterr().err
    assert re.search(r"FAILED: \d of 6 facts to keep lose more than 0 nats, most \w+", said)
    assert re.search(r"\n  \w[\w ]+ \(\w+\) loses \d+\.\d\d nats", said)
    assert "tried in layer 1" in said
    assert re.search(r"FAILED: \d of 3 edits do not reach p = 0\.95: ", said)
    assert "nothing was written" in said
    assert list(tmp_path.iterdir()) == []


def test_facts_to_keep_that_cannot_be_asked_about_are_told(prepared, tmp_path, capsys):
    """Where something is written, where nothing is, and where none is left."""
    records = json.loads((prepared / "keep.json").read_text())
    subject = records[0]["requested_rewrite"]["subject"]
    records[0]["requested_rewrite"]["prompt"] = "word " * 2000 + "{} lies in"
    given = ["--layer", 1, "--no-certificate", "--out", tmp_path / "edits", "--keep", tmp_path / "keep.json"]
    told = f"of the facts to keep 1 left out, the first is fact {records[0]['case_id']} ('{subject}'): "
    (tmp_path / "keep.json").write_text(json.dumps(records[:1]))
    assert main(options(prepared, *given)) == 2
    says(capsys.readouterr().err, what="no fact to keep is left", got=told[21:], remedy="--keep")
    (tmp_path / "keep.json").write_text(json.dumps(records))
    assert main(options(prepared, *given, "--fail-over", 0)) == 1
    said = capsys.readouterr().err
    assert told in said
    assert "of 5 facts to keep" in said
    assert main(options(prepared, *given)) == 0
    assert told in capsys.readouterr().out
    assert main(options(prepared, *given[:-3], tmp_path / "other")) == 0
    assert "left out" not in capsys.readouterr().out


def test_a_folder_that_would_break_too_much_stays_as_it_is(prepared, tmp_path):
    assert main(options(prepared, "--layer", 1, "--out", tmp_path / "edits")) == 0
    before = snapshot(tmp_path)
    assert main(more(prepared, "--onto", tmp_path / "edits", "--fail-over", 0)) == 1
    assert snapshot(tmp_path) == before


def test_an_interrupt_while_it_measures_leaves_what_was_there(prepared, tmp_path, monkeypatch):
    assert main(options(prepared, "--layer", 1, "--out", tmp_path / "edits")) == 0
    before = snapshot(tmp_path)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ks_core.patches.writing.certify", interrupted)
    case = str(cases(prepared, "edits")[0])
    assert main(options(prepared, "--layer", 1, "--out", tmp_path / "other")) == 130
    assert main(more(prepared, "--onto", tmp_path / "edits")) == 130
    assert main(["undo", str(tmp_path / "edits"), "--case", case]) == 130
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("method", "new", "what"),
    [
        ("joint", "Peru", "contradict each other"),
        ("sequential", "Peru", "contradict each other"),
        ("joint", None, "are duplicates"),
        ("sequential", None, None),
    ],
)
def test_edits_that_contradict_each_other_are_not_made(prepared, tmp_path, capsys, method, new, what):
    records = json.loads((prepared / "edits.json").read_text())
    again = json.loads(json.dumps(records[0]))
    again["case_id"] = 999
    again["requested_rewrite"]["target_new"]["str"] = new or records[0]["requested_rewrite"]["target_new"]["str"]
    (tmp_path / "twice.json").write_text(json.dumps([*records, again]))
    given = ["--layer", 1, "--method", method, "--out", tmp_path / "edits"]
    status = main(options(prepared, *given, edits=tmp_path / "twice.json"))
    assert (status, (tmp_path / "edits").exists()) == ((0, True) if what is None else (1, False))
    if what is not None:
        assert f"FAILED: edits {records[0]['case_id']} and 999 {what}" in capsys.readouterr().err


def test_an_edit_is_taken_out_without_the_model(prepared, tmp_path, capsys):
    """Of an adapter: what is certified needs the base, and what is not needs nothing but the folder."""
    moved = tmp_path / "moved"
    shutil.copytree(prepared / "model", moved)
    folder = tmp_path / "edits"
    assert main(options(prepared, "--layer", 1, "--out", folder, "--model", moved)) == 0
    shutil.rmtree(moved)
    before, undo = snapshot(folder), ["undo", str(folder), "--case", str(cases(prepared, "edits")[1])]
    capsys.readouterr()
    assert main(undo) == 2
    says(capsys.readouterr().err, what="cannot be loaded", expected="one of these", remedy="--no-certificate")
    assert snapshot(folder) == before
    assert main([*undo, "--model", str(prepared / "model")]) == 0
    assert main(["verify", str(folder)]) == 0, "it knows the base by its new name"
    undo[-1] = str(cases(prepared, "edits")[0])
    assert main([*undo, "--no-certificate"]) == 0
    assert [len(edits) for edits in ks.load_edits(folder)] == [1]
    assert not (folder / "certificate.json").exists()

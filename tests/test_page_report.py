"""`ks report` and `ks.report`: which results they find, and what they refuse."""

import json
import os
import shutil

import pytest
from errors import refused, says
from pages import write_run

import ks_core as ks
from ks_core.claims.deciding import what_would_decide
from ks_core.claims.summing import distance
from ks_core.cli import main
from ks_core.errors import InputError
from ks_core.reporting.results import plain
from ks_core.reporting.words import how_far, requirement


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """ks-results of two runs, of two models."""
    place = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(place / "cache"))
        path = write_run(place, parts=())
    for name in ("b-model", "a-model"):
        (place / "ks-results" / name).mkdir(parents=True)
        content = json.loads(path.read_text()) | {"model": f"models/{name}"}
        (place / "ks-results" / name / "results.json").write_text(json.dumps(content))
        shutil.copy(path.with_name("pairs.safetensors"), place / "ks-results" / name)
    return place / "ks-results"


@pytest.mark.parametrize("given", ["a-model/results.json", "a-model"])
def test_one_run_is_found_by_its_file_and_by_its_folder(folder, tmp_path, capsys, given):
    out = tmp_path / "page.html"
    assert main(["report", str(folder / given), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"report: {out}\n"
    text = out.read_text(encoding="utf-8")
    assert "<h1>a-model</h1>" in text
    assert f"ks report {folder / 'a-model' / 'results.json'}" in text


def test_a_folder_of_runs_gives_all_by_name_and_each_once(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(folder), str(folder / "b-model")]) == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<h1>2 runs side by side</h1>" in text
    assert text.index('<li><a href="#run1">a-model') < text.index('<li><a href="#run2">b-model')


def test_python_and_command_give_the_same_page(folder, tmp_path):
    stored = ks.load_results(folder / "a-model" / "results.json")
    assert ks.report(stored, tmp_path / "python.html") == tmp_path / "python.html"
    main(["report", str(folder / "a-model"), "--out", str(tmp_path / "command.html")])
    assert (tmp_path / "python.html").read_bytes() == (tmp_path / "command.html").read_bytes()
    several = ks.report([stored, folder / "b-model"], os.fspath(tmp_path / "several.html"))
    assert "2 runs side by side" in several.read_text(encoding="utf-8")


def test_json_has_the_numbers_of_each_claim_and_of_each_part(folder, tmp_path):
    told = tmp_path / "told.json"
    assert main(["report", str(folder / "a-model"), "--out", str(tmp_path / "page.html"), "--json", str(told)]) == 0
    [run] = json.loads(told.read_text(encoding="utf-8"))["runs"]
    stored = ks.load_results(folder / "a-model" / "results.json")
    parts = {part["finding"]: part for of in run["claims"].values() for part in of.get("parts", ())}
    assert set(parts) == {of.id for of in stored.findings}
    for of in stored.findings:
        part = parts[of.id]
        assert (part["verdict"], part["unit"], part["count"]) == (of.verdict.value, of.unit, of.count)
        assert [part[name] for name in ("value", "error", "distance")] == plain([of.value, of.error, distance(of)])
        assert (part["how_far"], part["required"]) == (how_far(of), requirement(of.judged.bound))
        assert part["would_decide"] == what_would_decide(of)
        assert part["all_at_once"] == plain(of.judged.familywise if of.is_of_all_at_once else None)
    for claim in run["claims"].values():
        assert claim.get("verdict") is None or {k: v for k, v in claim.items() if k != "parts"} in claim["parts"]


@pytest.mark.parametrize(
    ("results", "what"),
    [("nowhere", "nowhere is not there"), (3, "results is 3"), ("", "results is ''"), ([], "results is empty"),
     ({"a": 1}, "results is {'a': 1}"), ([None], "results is None"), ("x" * 5000, "cannot be read")],
)  # fmt: skip
def test_what_is_no_results_is_refused_in_python(tmp_path, results, what):
    with refused(InputError, what=what):
        ks.report(results, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_what_is_no_results_is_refused_by_the_command(folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged.json").write_text('{"format": ')
    out = str(tmp_path / "page.html")
    for given, what in (("empty", "holds no results.json"), ("damaged.json", "cut short"), ("none", "is not there")):
        assert main(["report", str(tmp_path / given), "--out", out]) == 2
        says(capsys.readouterr().err, what=("ks report: error:", what), expected="a results.json")
    for bad in (str(folder), str(folder / "a-model" / "results.json"), str(tmp_path / "damaged.json" / "x")):
        assert main(["report", str(folder / "a-model"), "--out", bad]) == 2
        says(capsys.readouterr().err, what="ks report: error: out")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("name", ["results.json", "pairs.safetensors"])
def test_a_page_is_written_over_nothing_that_it_is_of(folder, tmp_path, capsys, name):
    run = shutil.copytree(folder / "a-model", tmp_path / "run")
    content = json.loads((run / "results.json").read_text())
    content["matrices"] = {"file": "pairs.safetensors", "sha256": "0" * 64, "names": ["P"], "dtype": "float32"}
    (run / "results.json").write_text(json.dumps(content))
    (run / "pairs.safetensors").write_bytes(b"what was measured")
    before = (run / name).read_bytes()
    (tmp_path / "link.html").symlink_to(run / name)
    for out in (run / name, tmp_path / "link.html"):
        assert main(["report", str(run), "--out", str(out)]) == 2
        says(capsys.readouterr().err, what=name if out == run / name else "link.html", expected="another file")
    assert (run / name).read_bytes() == before


def test_json_has_the_verdicts(folder, tmp_path, capsys):
    out, told = tmp_path / "page.html", tmp_path / "told.json"
    assert main(["report", str(folder), "--out", str(out), "--json", str(told), "--quiet"]) == 0
    content = json.loads(told.read_text())
    assert content["format"] == "ks_core/report/1"
    assert content["page"] == str(out)
    assert [run["model"] for run in content["runs"]] == ["models/a-model", "models/b-model"]
    verdicts = content["runs"][0]["claims"]
    assert verdicts["lossless"]["verdict"] is None
    assert "undecided" in {of["verdict"] for of in verdicts.values()}
    for bad in (folder / "a-model" / "results.json", folder):
        assert main(["report", str(folder / "a-model" / "results.json"), "--out", str(out), "--json", str(bad)]) == 2
        says(capsys.readouterr().err, what="ks report: error: --json")


def test_damaged_matrices_are_refused(folder, tmp_path):
    shutil.copytree(folder / "a-model", tmp_path / "damaged")
    (tmp_path / "damaged" / "pairs.safetensors").write_bytes(b"no tensors")
    with refused(InputError, what="pairs.safetensors"):
        ks.report(tmp_path / "damaged", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_missing_matrices_are_said_on_the_page_and_the_other_runs_keep_theirs(folder, tmp_path):
    shutil.copytree(folder / "a-model", tmp_path / "gone")
    (tmp_path / "gone" / "pairs.safetensors").unlink()
    several = ks.report([tmp_path / "gone", folder / "b-model"], tmp_path / "page.html").read_text(encoding="utf-8")
    assert several.count("pairs.safetensors is not beside its results.json") == 1
    assert 'id="run2-heatmap"' in several
    assert 'id="run1-heatmap"' not in several
    assert 'id="run2-entangled-table"' in several
    assert 'id="run1-entangled-table"' not in several
    alone = ks.report(tmp_path / "gone", tmp_path / "alone.html").read_text(encoding="utf-8")
    assert "put that file back, or measure again" in alone
    assert "1 runs" not in alone
    assert "its results are of" not in alone, "which is said of older results"


def test_matrices_of_another_run_are_refused(folder, tmp_path):
    shutil.copytree(folder / "a-model", tmp_path / "other")
    content = json.loads((tmp_path / "other" / "results.json").read_text())
    content["matrices"]["sha256"] = "0" * 64
    (tmp_path / "other" / "results.json").write_text(json.dumps(content))
    with refused(InputError, what="pairs.safetensors", got="has not the sha256"):
        ks.report([folder / "b-model", tmp_path / "other"], tmp_path / "page.html")

"""`ks audit` and `ks edit` with another project's statistics in the place of a pass over text."""

import json

import pytest
from edits_on_disk import more, options, write_files
from errors import says

import ks_core as ks
from ks_core.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

STATED = {"text": "our own words", "longest_text": 512, "revision": None, "dtype": "float32"}
SAID = ("--stated-text", "our own words", "--stated-longest-text", 512, "--stated-dtype", "float32")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = write_files(tmp_path_factory.mktemp("moments"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        model = ks.load_model(str(folder / "model"))
        moments = ks.second_moments(model, 1600, corpus=folder / "text.txt")
        ks.export_moments(moments, folder / "stats", model, samples=50, model_name="model", layout="easyedit")
        yield folder


def without_tokens(given):
    given = list(given)
    place = given.index("--tokens")
    return given[:place] + given[place + 2 :]


def auditing(prepared, *given):
    keep = ["--keep", prepared / "keep.json", "--model", prepared / "model"]
    return [str(word) for word in ("audit", prepared / "edits.json", *keep, "--moments", prepared / "stats", *given)]


def editing(prepared, *given):
    return without_tokens(options(prepared, "--moments", prepared / "stats", *map(str, given)))


@pytest.mark.parametrize("which", [("--layer", 1), ("--layers", "0,1"), ()])
def test_an_audit_takes_them_and_records_what_was_stated(prepared, tmp_path, capsys, which):
    path = tmp_path / "audit.json"
    assert main(auditing(prepared, *which, *SAID, "--json", path)) == 0
    said = capsys.readouterr().out
    assert "second moments imported, 1,600 tokens; stated, not checked: text our own words" in said
    assert " ± ?" in said
    record = json.loads(path.read_text())
    assert record["tokens"] == 1600
    assert record["second_moment"]["stated_not_checked"] == STATED
    assert record["second_moment"]["samples"] == 50


def test_an_edit_takes_them_and_its_certificate_says_so(prepared, tmp_path, capsys):
    folder = tmp_path / "edits"
    assert main(editing(prepared, "--layer", 1, "--out", folder, *SAID)) == 0
    assert "second moments imported; stated, not checked: text our own words" in capsys.readouterr().out
    made = json.loads((folder / "certificate.json").read_text())["made"][0]
    assert made["second_moment"]["stated_not_checked"] == STATED
    corpus = json.loads((folder / "certificate-inputs.json").read_text())["corpus"]
    assert corpus["apart_from_second_moment"] == "not known"
    assert main(["verify", str(folder)]) == 0
    capsys.readouterr()
    assert main(more(prepared, "--onto", folder)) == 2
    says(capsys.readouterr().err, what="imported second moments", expected="the same files", remedy="--moments PATH")
    again = ("--onto", folder, "--moments", prepared / "stats")
    assert main(more(prepared, *again)) == 2
    says(capsys.readouterr().err, what="text of the second moments", expected="the same")
    assert main(more(prepared, *again, *SAID)) == 0
    assert len(ks.load_edits(folder)[0]) == 4


def test_a_folder_of_collected_ones_takes_no_imported_ones(prepared, tmp_path, capsys):
    folder = tmp_path / "edits"
    assert main(options(prepared, "--layer", 1, "--out", folder, "--no-certificate")) == 0
    capsys.readouterr()
    assert main(more(prepared, "--onto", folder, "--moments", prepared / "stats")) == 2
    says(capsys.readouterr().err, what="text of the second moments", expected="the same")


@pytest.mark.parametrize("said", ["--stated-text", "--stated-longest-text", "--stated-revision", "--stated-dtype"])
def test_something_stated_of_nothing_is_refused(prepared, tmp_path, capsys, said):
    given = [word for word in auditing(prepared, said, "7") if word not in ("--moments", str(prepared / "stats"))]
    assert main(given) == 2
    says(capsys.readouterr().err, what=said, got="--moments, which is missing", expected="both")
    assert main(options(prepared, "--out", tmp_path / "edits", said, "7")) == 2
    says(capsys.readouterr().err, what=said, got="--moments, which is missing", expected="both")


@pytest.mark.parametrize("more_text", [("--tokens", "4096"), ("--corpus", "text.txt")])
def test_a_text_beside_them_is_refused(prepared, capsys, more_text):
    assert main(auditing(prepared, *more_text)) == 2
    says(capsys.readouterr().err, what=more_text[0], got="with --moments", expected="one of the two")


def test_an_amount_of_text_beside_them_is_refused_in_an_edit(prepared, tmp_path, capsys):
    assert main(options(prepared, "--moments", prepared / "stats", "--out", tmp_path / "edits")) == 2
    says(capsys.readouterr().err, what="--tokens", got="1600", expected="one of the two")


def test_no_output_is_written_over_them(prepared, capsys):
    [path, *_] = sorted((prepared / "stats").rglob("*.npz"))
    before = path.read_bytes()
    assert main(auditing(prepared, "--csv", path)) == 2
    says(capsys.readouterr().err, what="--csv", got="is read as --moments", expected="another file")
    assert path.read_bytes() == before


@pytest.mark.parametrize("place", ["nowhere", "model", "facts.json"])
def test_what_is_no_statistics_is_refused(prepared, capsys, place):
    given = auditing(prepared)
    given[given.index("--moments") + 1] = str(prepared / place)
    assert main(given) == 2
    says(capsys.readouterr().err, what=place, expected=())

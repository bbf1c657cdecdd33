"""Second moments given to other projects and taken from them: the files, and everything that is made with them."""

import csv
import json

import jsonschema
import numpy as np
import pytest
import torch
from errors import refused
from peer_files import COUNT, D_KEY, MODULE, SAMPLES, facts, model, moments_of, write

import ks_core as ks
from ks_core.auditing.files import SCHEMA, as_json, write_audit, write_csv
from ks_core.auditing.table import table
from ks_core.data.corpus import corpus_of
from ks_core.errors import InputError, NotStoredError, ProvenanceError
from ks_core.measurement.moments.peers.stated import RECORDED, ImportedProvenance, provenance_from
from ks_core.measurement.moments.provenance import MomentProvenance
from ks_core.patches.measuring import inputs_for, made_of

UNDERSCORED, LAST = ("rome", "memit", "pmet", "kis"), ("alphaedit", "easyedit", "anyedit")
STATED = {"text": "rivers", "longest_text": 1024, "revision": "main", "dtype": "float32"}


@pytest.fixture(scope="module")
def loaded():
    return model()


@pytest.fixture(scope="module")
def moments(loaded, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield moments_of(loaded)


@pytest.fixture(scope="module")
def folder(loaded, moments, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stats")
    ks.export_moments(moments, folder, loaded, samples=SAMPLES)
    return folder


@pytest.fixture(scope="module")
def imported(loaded, folder):
    return ks.import_moments(folder, loaded, **STATED)


@pytest.mark.parametrize("layout", UNDERSCORED + LAST)
def test_files_stand_where_each_project_looks_and_hold_what_it_asks(loaded, moments, tmp_path, layout):
    paths = ks.export_moments(
        moments, tmp_path, loaded, samples=7, layout=layout, model_name="EleutherAI/small", dataset="wikitext"
    )
    name = "EleutherAI_small" if layout in UNDERSCORED else "small"
    assert paths == [tmp_path / name / "wikitext_stats" / f"{MODULE.format(n)}_float32_mom2_7.npz" for n in (0, 1)]
    for layer, path in enumerate(paths):
        with np.load(path, allow_pickle=False) as stored:
            assert sorted(stored) == ["mom2.count", "mom2.mom2", "sample_size"]
            assert int(stored["mom2.count"]) == COUNT
            assert stored["sample_size"] == 7
            assert stored["sample_size"].shape == stored["mom2.count"].shape == ()
            matrix = stored["mom2.mom2"]
        assert matrix.dtype == np.float64
        assert np.array_equal(matrix, matrix.T)
        want = moments.at(layer).matrix.numpy() * COUNT
        assert np.array_equal(matrix, want)


@pytest.mark.parametrize(("cut", "suffix"), [(None, ""), ("literal", "_t{batch_tokens}"), (2048, "_t2048")])
def test_the_suffix_is_chosen(loaded, moments, tmp_path, cut, suffix):
    [path] = ks.export_moments(
        moments, tmp_path, loaded, samples=9, layers=[1], batch_tokens=cut, precision="float64", model_name="m"
    )
    assert path.name == f"{MODULE.format(1)}_float64_mom2{suffix}_9.npz"
    assert ks.import_moments(tmp_path, loaded, model_name="m").layers == (1,)


def test_as_many_articles_as_texts_were_read_unless_told(loaded, moments, imported, tmp_path):
    for place, given in (("own", moments), ("imported", imported)):
        paths = ks.export_moments(given, tmp_path / place, loaded)
        with np.load(paths[0]) as stored:
            assert int(stored["sample_size"]) == given.texts
        assert paths[0].name.endswith(f"_mom2_{given.texts}.npz")
    assert imported.texts == SAMPLES
    assert 0 < moments.texts <= SAMPLES
    write(tmp_path / "silent", suffix="", sample_size=None)
    silent = ks.import_moments(tmp_path / "silent", loaded)
    with refused(InputError, what="how many texts", expected="a number of your own", remedy="samples"):
        ks.export_moments(silent, tmp_path / "again", loaded)


def test_equal_moments_are_equal_files(loaded, moments, tmp_path):
    first, second = (ks.export_moments(moments, tmp_path / n, loaded, samples=7)[0].read_bytes() for n in "ab")
    assert first == second


def test_a_round_trip_gives_the_same_moments_but_for_one_rounding(moments, imported):
    for layer in moments.layers:
        want = moments.at(layer).matrix
        # times the count and divided by it again: two roundings
        assert bool(((imported.at(layer).matrix - want).abs() <= 2 * 2.0**-53 * want.abs()).all())


def test_imported_moments_are_exported_again_to_the_same_sums(loaded, imported, folder, tmp_path):
    paths = ks.export_moments(imported, tmp_path, loaded, samples=SAMPLES)
    for path, before in zip(paths, sorted(folder.rglob("*.npz")), strict=True):
        with np.load(path) as now, np.load(before) as then:
            assert np.allclose(now["mom2.mom2"], then["mom2.mom2"], rtol=2.0**-51, atol=0)


def test_a_file_that_is_there_stays_unless_told(loaded, moments, tmp_path):
    [path] = ks.export_moments(moments, tmp_path, loaded, samples=7, layers=[0])
    before = path.read_bytes()
    with refused(InputError, what="is there", expected="no such file", remedy="replace=True"):
        ks.export_moments(moments, tmp_path, loaded, samples=7)
    assert [each.name for each in path.parent.iterdir()] == [path.name]  # nothing was written, of layer 1 neither
    path.write_bytes(b"old")
    ks.export_moments(moments, tmp_path, loaded, samples=7, replace=True)
    assert path.read_bytes() == before


def test_what_is_read_is_never_written_over(loaded, folder, imported):
    before = {path: path.read_bytes() for path in folder.rglob("*.npz")}
    with refused(InputError, what="is read as the second moments", expected="another file"):
        ks.export_moments(imported, folder, loaded, samples=SAMPLES, replace=True)
    assert {path: path.read_bytes() for path in folder.rglob("*.npz")} == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"samples": 0}, {"samples": 2.0}, {"samples": True}, {"layout": "mend"}, {"precision": "bfloat16"},
        {"batch_tokens": "any"}, {"batch_tokens": 0}, {"dataset": "a/b"}, {"dataset": ""}, {"model_name": ".."},
        {"layers": [5]},
    ],
)  # fmt: skip
def test_arguments_of_no_use_are_refused(loaded, moments, tmp_path, wrong):
    given = {"samples": 5} | wrong
    with pytest.raises(InputError, match="expected"):
        ks.export_moments(moments, tmp_path, loaded, **given)
    assert not any(tmp_path.iterdir())


def test_moments_of_another_model_are_not_exported(moments, imported, tmp_path):
    other = model()
    with torch.no_grad():
        other.adapter.weight(0)[0, 0] += 1
    for given in (moments, imported):
        with refused(ProvenanceError, what="weights", expected="those of this model"):
            ks.export_moments(given, tmp_path, other, samples=5)


def test_superposition_of_imported_moments_is_that_of_our_own(loaded, moments, imported):
    own = ks.superposition(loaded, facts(), 0, moments=moments)
    theirs = ks.superposition(loaded, facts(), 0, moments=imported)
    assert torch.allclose(own, theirs, rtol=1e-8, atol=1e-8)  # 2 roundings times a condition number of at most 1e7


def test_an_audit_knows_no_error_over_text_and_says_so(loaded, moments, imported, tmp_path):
    found = ks.audit(loaded, facts()[:2], keep=facts()[2:], layer=0, moments=imported)
    own = ks.audit(loaded, facts()[:2], keep=facts()[2:], layer=0, moments=moments)
    assert own.imported is None
    assert np.isnan(found.share_errors).all()
    assert np.isfinite(own.share_errors).all()
    assert np.allclose(found.shares, own.shares, atol=1e-8)
    said = table(found)
    assert "second moments imported, 400 tokens; stated, not checked: text rivers" in said
    assert "no error over text" in said
    assert " ± ?" in said.split("each edit alone")[1]
    assert "imported" not in table(own)
    write_audit(found, tmp_path / "audit.json")
    record = json.loads((tmp_path / "audit.json").read_text())
    jsonschema.validate(record, json.loads(SCHEMA.read_text()))
    assert record["second_moment"][RECORDED] == STATED
    assert "second_moment" not in as_json(own)
    with write_csv(found, tmp_path / "audit.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["edit_subject"]]
    assert {row["share_error_over_text"] for row in rows} == {""}


def test_what_was_not_stated_is_not_known(loaded, folder):
    silent = ks.import_moments(folder, loaded)
    assert silent.provenance.record()[RECORDED] == dict.fromkeys(STATED)
    found = ks.audit(loaded, facts()[:1], keep=facts()[2:], layer=0, moments=silent)
    assert "text not known, texts cut after not known, revision not known, dtype not known" in table(found)


def test_a_record_is_read_back_as_it_was(moments, imported):
    for provenance in (moments.provenance, imported.provenance):
        assert provenance_from(json.loads(json.dumps(provenance.record()))) == provenance
    assert type(provenance_from(moments.provenance.record())) is MomentProvenance
    assert type(provenance_from(imported.provenance.record())) is ImportedProvenance


@pytest.fixture
def patch(loaded, imported, tmp_path):
    ks.save_edits(ks.edit(loaded, facts()[:1], 0, moments=imported), tmp_path / "patch")
    return tmp_path / "patch"


def test_a_patch_records_what_was_stated_and_no_place(imported, patch, folder):
    record = json.loads((patch / "edits.json").read_text())["layers"][0]["moments"]
    assert record == json.loads(json.dumps(imported.provenance.record()))
    assert str(folder) not in (patch / "edits.json").read_text()
    [edits] = ks.load_edits(patch)
    assert edits.moments.provenance == imported.provenance
    assert not edits.moments.complete
    assert made_of([edits])[0]["second_moment"][RECORDED] == STATED


def test_more_edits_need_the_same_files(loaded, moments, folder, patch, tmp_path):
    with refused(NotStoredError, what="not recorded", expected="import them again"):
        ks.append_edits(loaded, facts()[1:2], patch)
    with refused(InputError, what="text of the second moments", expected="the same"):
        ks.append_edits(loaded, facts()[1:2], patch, moments=ks.import_moments(folder, loaded, text="lakes"))
    with refused(InputError, what="text of the second moments", expected="the same"):
        ks.append_edits(loaded, facts()[1:2], patch, moments=moments)
    write(tmp_path / "other")  # as many tokens and articles, stated alike, of other keys
    other = ks.import_moments(tmp_path / "other", loaded, **STATED)
    with refused(InputError, what="layer 0 was imported from", expected="the same file"):
        ks.append_edits(loaded, facts()[1:2], patch, moments=other)
    again = ks.import_moments(folder, loaded, layers=[0], **STATED)
    ks.append_edits(loaded, facts()[1:2], patch, moments=again)
    assert len(ks.load_edits(patch)[0]) == 2


def test_edits_of_a_patch_are_audited_with_the_same_files_only(loaded, imported, patch, tmp_path):
    [edits] = ks.load_edits(patch)
    assert ks.audit(loaded, edits, keep=facts()[2:], moments=imported).imported is not None
    with refused(NotStoredError, what="not recorded", expected="import them again"):
        ks.audit(loaded, edits, keep=facts()[2:])
    write(tmp_path / "other")
    other = ks.import_moments(tmp_path / "other", loaded, **STATED)
    with refused(InputError, what="moments given", expected="none"):
        ks.audit(loaded, edits, keep=facts()[2:], moments=other)


def test_held_out_text_is_not_said_to_be_apart_from_an_unknown_one(loaded, moments, imported):
    text = corpus_of((" ".join(f"word{n * k % 97}" for k in range(90)) for n in range(900)), "words")
    own, theirs = (
        inputs_for(loaded, [ks.edit(loaded, facts()[:1], 0, moments=of)], facts()[2:], text)
        for of in (moments, imported)
    )
    assert own.corpus["after"] == COUNT
    assert "apart_from_second_moment" not in own.corpus
    assert theirs.corpus["after"] == 0
    assert theirs.corpus["apart_from_second_moment"] == "not known"


def test_a_width_is_checked_against_the_model(loaded, tmp_path):
    assert loaded.adapter.d_key == D_KEY
    with refused(InputError, what="keys of width 8", got="width 12"):
        ks.import_moments(write(tmp_path, mom2__mom2=np.eye(8)), loaded)

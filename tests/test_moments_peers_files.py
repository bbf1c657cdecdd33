"""Statistics files of other projects, read: which file is of which layer, what its numbers are, and what is refused."""

from itertools import product

import numpy as np
import pytest
import torch
from errors import refused
from peer_files import COUNT, D_KEY, MODULE, SAMPLES, keys, model, sums, write

import ks_core as ks
from ks_core.errors import InputError, KsError, ProvenanceError, RankDeficientError

SUFFIXES = ("", f"_{SAMPLES}", "_t{batch_tokens}", f"_t{{batch_tokens}}_{SAMPLES}", "_t2048", f"_t2048_{SAMPLES}")


@pytest.fixture(scope="module")
def loaded():
    return model()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_gives_the_mean_of_its_keys(loaded, tmp_path, suffix):
    moments = ks.import_moments(write(tmp_path, suffix=suffix), loaded)
    rows = keys()
    moment = moments.at(0)
    assert moments.layers == (0,)
    assert moments.counts == (moment.count,) == (COUNT,)
    assert moments.provenance.samples == SAMPLES
    # float32 sums of COUNT products, of keys rounded to float32, against float64 sums of the keys themselves
    size = np.sqrt(np.outer((rows**2).mean(0), (rows**2).mean(0)))
    assert np.all(np.abs(moment.matrix.numpy() - rows.T @ rows / COUNT) <= (COUNT + 2) * 2.0**-24 * size)
    assert torch.equal(moment.matrix, moment.matrix.T)


@pytest.mark.parametrize(("dtype", "order"), list(product(["<f4", ">f4", "<f8", ">f8"], "CF")))
def test_any_storage_of_the_same_numbers_gives_the_same_bits(loaded, tmp_path, dtype, order):
    whole = np.round(sums()["mom2.mom2"])  # whole numbers, which all of them hold
    whole = np.triu(whole) + np.triu(whole, 1).T
    plain = ks.import_moments(write(tmp_path / "plain", mom2__mom2=whole), loaded)
    stored = write(
        tmp_path / "stored", mom2__mom2=np.asarray(whole.astype(dtype), order=order), mom2__count=np.uint16(COUNT)
    )
    other = ks.import_moments(stored, loaded)
    assert torch.equal(plain.at(0).matrix, other.at(0).matrix)
    assert plain.provenance == other.provenance


def test_packed_files_are_read_too(loaded, tmp_path):
    path = write(tmp_path)
    plain = ks.import_moments(path, loaded)
    np.savez_compressed(path, **sums())
    assert torch.equal(ks.import_moments(path, loaded).at(0).matrix, plain.at(0).matrix)


@pytest.mark.parametrize("place", ["", "wikipedia_stats", "EleutherAI_small/wikipedia_stats", "small/wikipedia_stats"])
def test_a_folder_is_searched_in_both_spellings(loaded, tmp_path, place):
    for layer in (1, 0):
        write(tmp_path / place, layer)
    (tmp_path / place / "notes.npz").write_text("none of theirs")
    (tmp_path / place / f"{MODULE.format(0)}_float32_mean_40.npz").write_text("another statistic")
    (tmp_path / place / "transformer.h.0.attn.c_proj_float32_mom2_40.npz").write_text("another module, as PMET has")
    moments = ks.import_moments(tmp_path, loaded, model_name="EleutherAI/small")
    assert moments.layers == (0, 1)
    assert not torch.equal(moments.at(0).matrix, moments.at(1).matrix)
    assert ks.import_moments(tmp_path, loaded, model_name="EleutherAI/small", layers=[1]).layers == (1,)


def test_both_spellings_at_once_are_refused(loaded, tmp_path):
    for place in ("a_b", "b"):
        write(tmp_path / place / "wikipedia_stats")
    with refused(InputError, what=("a_b", "hold statistics files"), expected="one folder", remedy="name the one"):
        ks.import_moments(tmp_path, loaded, model_name="a/b")


def test_nothing_there_says_where_it_looked(loaded, tmp_path):
    with refused(InputError, what="no statistics files", got="a_b/wikipedia_stats", expected="some there"):
        ks.import_moments(tmp_path, loaded, model_name="a/b")
    with refused(InputError, what="nowhere.npz", expected="one that says of which module"):
        ks.import_moments(tmp_path / "nowhere.npz", loaded)
    with refused(InputError, what="does not exist", expected="a statistics file"):
        ks.import_moments(tmp_path / f"{MODULE.format(0)}_float32_mom2.npz", loaded)
    with refused(InputError, what="files is empty", expected="a statistics file"):
        ks.import_moments([], loaded)


def test_two_files_of_one_layer_are_refused(loaded, tmp_path):
    paths = [write(tmp_path, suffix=suffix) for suffix in SUFFIXES[:2]]
    for files in (tmp_path, paths):
        with refused(InputError, what="both of layer 0", expected="one file for each layer"):
            ks.import_moments(files, loaded)
    assert ks.import_moments(paths[1], loaded).layers == (0,)


@pytest.mark.parametrize(
    "module", ["transformer.h.2.mlp.c_proj", "model.layers.0.mlp.down_proj", "transformer.h.0.mlp"]
)
def test_a_module_that_is_no_projection_of_the_model_is_refused(loaded, tmp_path, module):
    path = write(tmp_path).rename(tmp_path / f"{module}_float32_mom2_{SAMPLES}.npz")
    with refused(InputError, what="is of the module", got=module, expected="a projection", remedy="another model"):
        ks.import_moments(path, loaded)


def test_layers_of_different_texts_are_refused(loaded, tmp_path):
    write(tmp_path, 0)
    write(tmp_path, 1, mom2__count=COUNT + 1)
    with refused(InputError, what="layer 0", got=("400", "401"), expected="the same text", remedy="one by one"):
        ks.import_moments(tmp_path, loaded)


def _changed(**entries):
    def change(matrix):
        matrix = matrix.copy()
        for place, value in entries.items():
            matrix[{"diagonal": (2, 2), "beside": (2, 5)}[place]] = value
        return matrix

    return change


WRONG_SUMS = {
    "not square": (lambda of: of[:5], "has the shape (5, 12)", "a square matrix"),
    "flat": (lambda of: of.reshape(-1), "has the shape (144,)", "a square matrix"),
    "one number": (lambda of: of[0, 0], "has the shape ()", "a square matrix"),
    "narrower": (lambda of: of[:8, :8], "keys of width 8", "a file of this model's layer"),
    "wider": (lambda of: np.pad(of, 4), "keys of width 20", "a file of this model's layer"),
    "upper triangle": (np.triu, "has one triangle filled", "both"),
    "lower triangle": (np.tril, "has one triangle filled", "both"),
    "asymmetric": (_changed(beside=1e4), "is not symmetric", None),
    "NaN": (_changed(diagonal=np.nan), "is not finite", "finite numbers"),
    "infinite": (_changed(beside=np.inf), "is not finite", "finite numbers"),
    "negative": (_changed(diagonal=-1.0), "on its diagonal", None),
    "silent, and correlated": (_changed(diagonal=0.0), "has 0 at [2, 2]", None),
    "whole numbers": (lambda of: of.astype(np.int64), "is int64", "floating-point numbers"),
    "complex": (lambda of: of.astype(complex), "is complex128", "floating-point numbers"),
    "text": (lambda of: of.astype(str), "is <U", "floating-point numbers"),
    "overflown float16": (lambda of: np.where(of > 50, np.inf, of).astype(np.float16), "is not finite", "finite"),
}


@pytest.mark.parametrize("fault", WRONG_SUMS)
def test_a_sum_that_is_none_is_refused(loaded, tmp_path, fault):
    change, got, expected = WRONG_SUMS[fault]
    path = write(tmp_path, mom2__mom2=change(sums()["mom2.mom2"]))
    with refused(InputError, what=path.name if len(str(path)) < 300 else "", expected=expected or ()) as caught:
        ks.import_moments(path, loaded)
    assert got in str(caught.value)


def test_rounding_of_a_float32_product_is_no_asymmetry(loaded, tmp_path):
    matrix = sums()["mom2.mom2"]
    noise = np.random.default_rng(1).uniform(-1, 1, matrix.shape) * 2.0**-23
    moments = ks.import_moments(write(tmp_path, mom2__mom2=matrix * (1 + noise)), loaded)
    assert torch.equal(moments.at(0).matrix, moments.at(0).matrix.T)


WRONG_COUNTS = {
    "a float": (np.array(400.0), "not whole", InputError),
    "several": (np.array([400]), "one whole number", InputError),
    "true": (np.array(True), "one whole number", InputError),
    "overflown": (np.array(400 - 2**32, dtype=np.int64), "at least 1", InputError),
    "overflown in 32 bits": (np.array(2**31 + 7).astype(np.int32), "at least 1", InputError),
    "too large": (np.array(2**63 + 5, dtype=np.uint64), "less than 2**63", InputError),
    "none": (np.array(0), "at least 1", InputError),
    "fewer than the keys are wide": (np.array(D_KEY - 1), "at least 12 tokens", RankDeficientError),
}


@pytest.mark.parametrize("fault", WRONG_COUNTS)
def test_a_count_that_is_none_is_refused(loaded, tmp_path, fault):
    count, expected, kind = WRONG_COUNTS[fault]
    path = write(tmp_path, mom2__count=count)
    with refused(kind, what="mom2_40.npz", expected="one whole number" if expected == "not whole" else expected):
        ks.import_moments(path, loaded)


@pytest.mark.parametrize("gone", ["mom2__mom2", "mom2__count"])
def test_a_missing_array_is_named(loaded, tmp_path, gone):
    with refused(InputError, what="has no array", got=gone.replace("__", "."), expected="a statistics file"):
        ks.import_moments(write(tmp_path, **{gone: None}), loaded)


NULL = np.frombuffer(bytes.fromhex("020000000000f8ff"), dtype="<f8")[0]
"""What they write for None, as where all articles are read."""


@pytest.mark.parametrize("samples", [None, np.array(NULL)])
def test_a_missing_sample_size_is_not_known(loaded, tmp_path, samples):
    moments = ks.import_moments(write(tmp_path, suffix="", sample_size=samples), loaded)
    assert moments.provenance.samples is None
    assert moments.provenance.record()["samples"] is None


@pytest.mark.parametrize("samples", [np.array(40.0), np.array([40]), np.array(0), np.array(-7)])
def test_a_wrong_sample_size_is_refused(loaded, tmp_path, samples):
    with refused(InputError, what="sample_size", expected=()):
        ks.import_moments(write(tmp_path, sample_size=samples), loaded)


def test_a_sample_size_other_than_the_names_is_refused(loaded, tmp_path):
    with refused(InputError, what="sample_size 41", got="says 40", expected="the same"):
        ks.import_moments(write(tmp_path, sample_size=np.array(41)), loaded)


def test_a_file_that_changes_after_it_was_imported_is_refused(loaded, tmp_path):
    path = write(tmp_path)
    moments = ks.import_moments(path, loaded)
    write(tmp_path, mom2__mom2=sums(5)["mom2.mom2"])
    with refused(ProvenanceError, what="has changed", expected="what it was", remedy="import it again"):
        moments.at(0)
    path.unlink()
    with pytest.raises(KsError):
        moments.at(0)


def test_parts_of_the_text_and_other_layers_are_refused(loaded, tmp_path):
    moments = ks.import_moments(write(tmp_path), loaded)
    assert moments.at(0, COUNT).count == COUNT
    with refused(InputError, what="count", got="200", expected="400"):
        moments.at(0, 200)
    with refused(InputError, what="layers (0,)", got="without layer 1"):
        moments.at(1)
    with refused(InputError, what="holds no halves", expected="moments that were collected here"):
        moments.halves(0)
    with refused(InputError, what="layers is", got="(0,)", expected="some of those"):
        ks.import_moments(tmp_path, loaded, layers=[1])


@pytest.mark.parametrize(
    "stated",
    [{"text": ""}, {"text": 5}, {"longest_text": 0}, {"longest_text": 2.5}, {"revision": "\0"}, {"dtype": " "}],
)
def test_what_is_stated_has_to_be_something(loaded, tmp_path, stated):
    with refused(InputError, what=next(iter(stated)), expected=()):
        ks.import_moments(write(tmp_path), loaded, **stated)

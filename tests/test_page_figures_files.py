"""Charts of results that a real run wrote, read back from their files: the same numbers, or one clear error."""

import base64
import shutil
from itertools import pairwise

import numpy as np
import pytest
from errors import refused
from page_results import chosen, drawn

import ks_core as ks
from ks_core.errors import InputError
from ks_core.experiments.measured import Measured
from ks_core.reporting.page.figures.density import RANDOM
from ks_core.reporting.page.figures.every import figures_of
from ks_core.reporting.page.figures.heatmap import heatmap_of
from ks_core.reporting.page.figures.hottest import hottest_pairs
from ks_core.reporting.pairs_file import PAIRS, write_pairs
from ks_core.reporting.results import RESULTS, write_results
from ks_core.statistics import null


@pytest.fixture(scope="module")
def folder(measurement, findings, tmp_path_factory):
    made = tmp_path_factory.mktemp("results")
    matrices = write_pairs(made / PAIRS, measurement)
    write_results(made / RESULTS, Measured(measurement), findings, {}, "none", matrices)
    return made


@pytest.fixture(scope="module")
def results(folder):
    return ks.load_results(folder / RESULTS)


def test_a_real_run_has_the_figures_of_its_parts(results):
    assert [figure.name for figure in figures_of(results)] == ["density", "kurtosis", "angles"]


def test_kurtosis_is_what_was_measured(results, measurement):
    (figure,) = [of for of in figures_of(results) if of.name == "kurtosis"]
    measured = measurement.statistics["P"]["kurtosis"]
    rows = chosen(drawn(figure), series="all facts")
    assert [row["value"] for row in rows] == pytest.approx(measured.value.tolist(), rel=5.1e-6)
    assert [row["error"] for row in rows] == pytest.approx(measured.error.tolist(), rel=5.1e-6)


def test_random_keys_are_those_of_the_run(results, measurement):
    """As wide and as many as the keys were, with the seed of the settings."""
    (figure,) = [of for of in figures_of(results) if of.name == "density"]
    rng = np.random.default_rng(measurement.settings.seed)
    random = null.superposition(null.null_whitened_keys(8, measurement.pairs[0].d_key, rng))
    values = random[~np.eye(8, dtype=bool)]
    rows = chosen(drawn(figure), series=RANDOM)
    for row, following in pairwise(rows):
        inside = ((values >= row["x"]) & (values < following["x"])).mean() / (following["x"] - row["x"])
        assert inside == 0 or row["y"] == pytest.approx(inside, rel=1e-3)


def test_heatmap_and_hottest_pairs_are_of_the_matrices_that_were_measured(results, measurement):
    facts = measurement.selection.measured.facts
    order = sorted(range(8), key=lambda i: (facts[i].relation_id, facts[i].target_true, i))
    heatmap = heatmap_of(results)
    values = np.frombuffer(base64.b64decode(heatmap.values), "<i2").reshape(-1, 8, 8) / heatmap.scale
    for place, pairs in enumerate(measurement.pairs):
        expected = np.clip(pairs.matrices["P"][np.ix_(order, order)], -3.2767, 3.2767)
        assert np.abs(values[place] - expected).max() < 0.51 / heatmap.scale
        hottest = next(pair for pair in hottest_pairs(results) if pair.layer == pairs.layer)
        inside = np.abs(np.where(np.eye(8, dtype=bool), 0, pairs.matrices["P"]))
        assert abs(hottest.superposition) == pytest.approx(inside.max(), rel=1e-6)
        row, column = (
            next(i for i, fact in enumerate(facts) if fact.case_id == of.case_id)
            for of in (hottest.edited, hottest.disturbed)
        )
        assert hottest.superposition == pytest.approx(pairs.matrices["P"][row, column], rel=1e-6)
        assert hottest.edited.prompt == facts[row].text
    assert heatmap.facts == tuple(f"{facts[i].text} → {facts[i].target_true}" for i in order)


def _gone(path):
    path.unlink()


def _cut(path):
    path.write_bytes(path.read_bytes()[:-8])


def _changed(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [_gone, _cut, _changed])
def test_matrices_that_are_missing_or_damaged_are_one_clear_error(folder, tmp_path, damage):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    damage(tmp_path / PAIRS)
    read = ks.load_results(tmp_path / RESULTS)
    for call in (figures_of, heatmap_of, hottest_pairs):
        with refused(
            InputError,
            what=PAIRS,
            got="cannot be used",
            expected="the matrices",
            remedy="keep both files in one folder",
        ):
            call(read)

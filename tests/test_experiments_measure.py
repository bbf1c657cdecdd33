"""A measurement of a tiny real model: its numbers, findings, report and figures."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from ks_core.claims.finding import NotApplicable, Verdict
from ks_core.errors import KsError
from ks_core.experiments.measured import Measured
from ks_core.experiments.pairs.measure import measure
from ks_core.formatting import plus_minus
from ks_core.reporting.figures.drawing import save_figures
from ks_core.reporting.figures.every import figures_of
from ks_core.reporting.results import write_results


def test_every_number_has_an_error_from_both_sources(measurement):
    for statistics in (measurement.statistics, measurement.distinct):
        for matrix, by_name in statistics.items():
            for name, estimates in by_name.items():
                assert estimates.value.shape == estimates.error.shape == (len(measurement.layers),), (matrix, name)
                assert len(estimates.facts) == measurement.settings.resamples
                assert len(estimates.text) == (2 if matrix in ("P", "whitened_cosine") else 0)


def test_statistics_of_the_halves_come_from_the_halves(measurement):
    for half in (0, 1):
        for layer, pairs in enumerate(measurement.pairs):
            entries = pairs.halves[half]["P"][~np.eye(8, dtype=bool)]
            assert measurement.statistics["P"]["mean"].text[half, layer] == pytest.approx(entries.mean(), rel=1e-12)


def test_statistics_of_each_layer_are_its_own(measurement):
    for layer, pairs in enumerate(measurement.pairs):
        entries = pairs.matrices["Q"][~np.eye(8, dtype=bool)]
        assert measurement.statistics["Q"]["mean"].value[layer] == pytest.approx(entries.mean(), rel=1e-12)


def test_a_model_in_the_working_directory_has_a_name(settings, monkeypatch):
    monkeypatch.chdir(settings.model)
    assert replace(settings, model=".").model_name == settings.model_name == "model"


def test_the_measured_facts_are_the_first_known(measurement):
    pool = [fact.case_id for fact in measurement.selection.pool]
    assert [fact.case_id for fact in measurement.selection.measured] == pool[:8]
    assert len(pool) < 48, "a tiny random model that knows everything tests nothing"
    np.testing.assert_allclose(measurement.pairs[0].pool[:8, :8], measurement.pairs[0].matrices["P"], rtol=1e-9)


def test_every_finding_has_error_count_and_verdict(findings):
    assert {finding.claim for finding in findings} == {
        "universal",
        "related-pairs",
        "zero-mean",
        "kurtosis",
        "whitened-angles",
        "semantic-pairs",
        "enough-facts",
    }
    for finding in findings:
        assert math.isfinite(finding.error) or finding.verdict is Verdict.UNDECIDED
        assert finding.count > 0


def test_results_file_is_plain_json_with_everything_in_it(measurement, findings, tmp_path):
    write_results(tmp_path / "r.json", Measured(measurement), findings, {"layers": NotApplicable("two")}, "none")
    content = json.loads((tmp_path / "r.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert [found["id"] for found in content["findings"]] == [found.id for found in findings]
    assert content["not_judged"] == {"layers": "two"}
    assert set(content["statistics"]) == {"P", "Q", "whitened_cosine", "activation_cosine"}
    assert len(content["statistics"]["P"]["kurtosis"]["error"]) == len(measurement.layers)
    assert content["facts"]["measured_case_ids"] == [fact.case_id for fact in measurement.selection.measured]
    assert content["provenance"]["weights_sha256"] == measurement.provenance["weights_sha256"]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(12.3456, 0.234, "12.35 ± 0.23"), (1234.5, 56, "1234 ± 56"), (0.5, 0, "0.5 ± 0"), (2, math.nan, "2 ± ?")],
)
def test_numbers_are_cut_at_their_error(value, error, text):
    assert plus_minus(value, error) == text


def test_figures_are_png_files(measurement, tmp_path):
    paths, problems = save_figures(tmp_path, figures_of(Measured(measurement)))
    assert problems == []
    assert {path.name for path in paths} >= {"superposition.png", "kurtosis.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": "no/such/model/here"}, "is no folder and no hub id"),
        ({"corpus": "nowhere.txt"}, "does not exist"),
        ({"facts": "nowhere.json"}, "nowhere.json"),
        ({"num_facts": 47}, "expected at least 47"),
        ({"tokens": 20}, "d_key"),
        ({"tokens": 10**8}, "ask for fewer tokens"),
        ({"dtype": "float8"}, "dtype is 'float8'"),
        ({"device": "abacus"}, "abacus"),
        ({"layers": (0, 99)}, "layer 99 does not exist"),
        ({"num_facts": 2}, "num_facts is 2; expected at least 3 (in pytest: --ks-num-facts)"),
        ({"resamples": 1}, "resamples is 1"),
        ({"seed": -1}, "seed is -1"),
        ({"batch_tokens": 0}, "batch_tokens is 0"),
        ({"ridge": math.nan}, "ridge is nan"),
    ],
)
def test_bad_input_is_one_clear_error_that_leaves_nothing_behind(settings, changed, message, tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path))
    with pytest.raises(KsError, match=re.escape(message)):
        measure(replace(settings, **changed))
    assert not list(tmp_path.rglob("*.safetensors"))

"""The judgement of claims, the paper's and one's own, as a value."""

import re

import numpy as np
import pytest
import torch
from measured import write_facts, write_text
from tiny_models import byte_level_tokenizer, tiny_model

import ks_core as ks
from ks_core.claims.claim import Claim
from ks_core.claims.finding import Bound
from ks_core.claims.judging import judge_number
from ks_core.claims.registry import CLAIMS
from ks_core.experiments.measured import Measured
from ks_core.statistics.estimate import Replicates

SMALL = ks.Settings(num_facts=8, num_edits=4, tokens=1600, resamples=40, batch_tokens=256)


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    return {"facts": write_facts(folder / "facts.json", 48), "corpus": write_text(folder / "text.txt", 300)}


@pytest.fixture(scope="module")
def model():
    return ks.load_model(tiny_model("llama", dtype=torch.float32), byte_level_tokenizer())


@pytest.fixture(scope="module")
def found(model, files):
    return ks.measure(model, files["facts"], SMALL, corpus=files["corpus"])


def test_judgement_is_of_what_was_measured(found):
    verdict = ks.judge(found)
    (kurtosis,) = verdict["kurtosis"]
    assert kurtosis.value == found.statistics["P"]["kurtosis"].value[kurtosis.layer]
    assert {of.claim for of in verdict.findings} == set(verdict) - set(verdict.not_applicable)
    assert all(isinstance(of.verdict, ks.Verdict) for of in verdict.findings)
    assert found.findings == verdict.findings


def test_claims_about_what_was_not_measured_are_not_judged(found):
    alone = ks.judge(ks.Results(Measured(found.measured.pairs)))
    missing = {name for name, claim in CLAIMS.items() if claim.needs != "pairs"}
    assert {name: alone.not_applicable[name].reason for name in missing} == {
        name: CLAIMS[name].missing for name in missing
    }
    with_edits = {name for name in missing if CLAIMS[name].needs in ("stream", "dose")}
    judged_only_with_edits = set(alone.not_applicable) - set(ks.judge(found).not_applicable)
    assert judged_only_with_edits
    assert judged_only_with_edits <= with_edits


def test_judgement_is_a_mapping_of_claims(found):
    verdict = ks.judge(found)
    assert list(verdict) == list(CLAIMS) == list(verdict.keys())
    assert len(verdict) == len(CLAIMS)
    assert "kurtosis" in verdict
    assert "kurtose" not in verdict
    assert verdict.get("kurtose") is None
    assert all(verdict[name] is outcome for name, outcome in verdict.items())
    with pytest.raises(KeyError):
        _ = verdict["kurtose"]


def _layers_are_many(measurement):
    value = np.array(float(len(measurement.layers)))
    judged = judge_number(Replicates(value, [value - 0.5, value + 0.5], [value, value]), Bound("above", 1.0))
    return [ks.Finding("many layers", "layers", judged, count=1)]


MINE = Claim(
    "many layers", "A model has more layers than one.", "pairs", _layers_are_many, untested="whether it is deep"
)


@pytest.mark.parametrize(
    "claims", [[MINE], (MINE,), {"many layers": MINE}, iter([MINE])], ids=["list", "tuple", "dict", "iter"]
)
def test_claims_of_ones_own_are_judged(found, claims):
    verdict = ks.judge(found, claims)
    assert list(verdict) == ["many layers"]
    assert [(of.value, of.verdict) for of in verdict["many layers"]] == [(2.0, ks.Verdict.HOLDS)]
    assert "A model has more layers than one." in str(verdict)
    assert "not tested: whether it is deep" in verdict.table(parts=True)
    assert len(ks.judge(found)) == len(CLAIMS), "what was judged before does not change"


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ([], "claims is .*; expected a collection of Claims .*, one at least"),
        ([MINE, 5], "expected a collection of Claims"),
        ("kurtosis", "claims is 'kurtosis'; expected a collection of Claims"),
        (MINE, "expected a collection of Claims"),
        ([MINE, MINE], "have the names 'many layers, many layers'; expected each another one"),
        ({"other": MINE}, "have the names 'many layers'; expected .* as key its own"),
    ],
)
def test_what_are_no_claims_is_refused(found, claims, message):
    with pytest.raises(ks.KsError, match=message):
        ks.judge(found, claims)


def test_judgement_prints_one_line_a_claim(found, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    verdict = ks.judge(found)
    lines = str(verdict).splitlines()
    judged = lines[1 : 1 + len(CLAIMS)]
    assert lines[0].startswith("verdict")
    assert lines[1 + len(CLAIMS)] == ""
    assert any("P has high kurtosis" in line for line in judged)
    assert any(line.startswith("not judged") and "it was not measured" in line for line in judged)
    assert re.fullmatch(rf"\d+ of {len(CLAIMS)} claims hold on LlamaForCausalLM, .*not judged", lines[-1])
    assert str(verdict) == repr(verdict) == verdict.table()


def test_parts_and_the_width_of_the_table_can_be_asked_for(found):
    verdict = ks.judge(found)
    assert "  undecided      mean" in verdict.table(parts=True) or "  holds          mean" in verdict.table(parts=True)
    assert max(map(len, verdict.table(parts=True, width=50).splitlines())) <= 50
    with pytest.raises(ks.KsError, match="width is 7; expected at least 20"):
        verdict.table(width=7)


def test_judgement_knows_its_claims(found):
    assert [of.claim for of in ks.judge(found)["kurtosis"]] == ["kurtosis"]
    with pytest.raises(ks.KsError, match="there is no claim 'kurtose'; expected one of universal"):
        ks.judge(found)["kurtose"]


def test_only_results_are_judged(found):
    with pytest.raises(ks.KsError, match=r"results is .*; expected Results, as measure"):
        ks.judge(found.measured)

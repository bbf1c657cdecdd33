"""`ks moments` from end to end on tiny models: plans, collections, enough text, exports, and what is refused."""

import json

import numpy as np
import pytest
from checkout import FIXTURES, MODELS
from errors import says
from measured import write_facts, write_text
from tiny_models import save_tiny_checkpoint

from ks_core.cli import main
from ks_core.data.corpus import load_corpus
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.measurement.moments.planning import plan_by_name
from ks_core.models.loading import load_model
from ks_core.models.packaged import PACKAGED_MODELS
from ks_core.models.shape import shape_by_name


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path):
    return str(save_tiny_checkpoint(tmp_path / "model"))


@pytest.fixture
def text(tmp_path):
    return str(write_text(tmp_path / "text.txt", 500))


def run(capsys, *arguments):
    capsys.readouterr()  # what saving the model printed
    status = main(["moments", *map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_a_plan_says_passes_bytes_and_time_and_touches_nothing(capsys, model, tmp_path):
    status, out, _ = run(capsys, model, "--dry-run", "--tokens", 4096, "--rate", 100, "--memory", "2GB")
    assert status == 0
    assert "4,096 tokens in 1 pass, of layers 0-1" in out
    assert "of 2.00 GB" in out
    assert "41 s at 100 tokens a second, as given" in out
    assert not (tmp_path / "cache").exists()


def test_a_plan_without_a_rate_is_rough_and_a_measured_one_has_an_error(capsys, model, text):
    assert "to a factor of two or three; --batches N times it" in run(capsys, model, "--dry-run")[1]
    assert "not estimated: give --rate" in run(capsys, model, "--dry-run", "--device", "cuda")[1]
    status, out, _ = run(
        capsys, model, "--dry-run", "--batches", 3, "--corpus", text, "--tokens", 512, "--batch-tokens", 64
    )
    assert status == 0
    assert "measured over 3 batches" in out
    assert "±" in out


def test_a_plan_of_the_packaged_model_fetches_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "empty"))
    status, out, err = run(capsys, "smollm2-135m-instruct", "--dry-run")
    assert (status, err, (tmp_path / "empty").exists()) == (0, "", False)
    known = PACKAGED_MODELS["smollm2-135m-instruct"].shape
    shape = shape_by_name("smollm2-135m-instruct")
    for name in ("layers", "d_key", "d_value", "parameters", "context_length"):
        assert getattr(shape, name) == getattr(known, name), name
    assert "0.13 billion parameters in float32, 30 layers, d_key 1,536" in out


def test_what_is_collected_is_what_the_call_collects(capsys, model, text):
    status, out, _ = run(capsys, model, "--corpus", text, "--tokens", 512, "--longest-text", "context")
    assert status == 0
    assert "512 tokens of" in out
    assert "2 layers, by one process" in out
    again = collect_second_moments(load_model(model), load_corpus(text), tokens=512, longest_text=None)
    assert str(again.folder) in out.replace("\n", "")
    assert again.complete
    assert f"of {again.texts:,} texts" in out


def test_half_precision_is_planned_and_collected_on_the_cpu(capsys, model, text):
    plans = [plan_by_name(model, tokens=1024, dtype=dtype) for dtype in ("float32", "bfloat16")]
    # the buffers are float32 in both
    assert plans[0].device["weights"] - plans[1].device["weights"] == 2 * plans[0].shape.parameters
    assert plans[0].device["sums"] == plans[1].device["sums"]
    asked = ("--corpus", text, "--tokens", 1024)
    assert "in bfloat16" in run(capsys, model, "--dry-run", "--dtype", "bfloat16", *asked)[1]
    found = {}
    for dtype in ("float32", "bfloat16"):
        assert run(capsys, model, *asked, "--dtype", dtype)[::2] == (0, "")
        moments = collect_second_moments(load_model(model, dtype=dtype), load_corpus(text), tokens=1024)
        assert moments.provenance.dtype == dtype
        found[dtype] = moments.at(1).matrix
    scale = found["float32"].diagonal().sqrt()
    apart = (found["bfloat16"] - found["float32"]).abs() / scale[:, None] / scale
    # keys of two blocks, some ten roundings of 2⁻⁹ at most one after another, each of which moves both factors
    assert 0 < float(apart.max()) <= 2 * 10 * 2.0**-9


def test_an_export_is_the_sum_and_as_many_samples_as_texts_were_read(capsys, model, text, tmp_path):
    status, out, _ = run(
        capsys, model, "--corpus", text, "--tokens", 512, "--export", tmp_path / "stats", "--layout", "memit"
    )
    assert status == 0
    files = sorted((tmp_path / "stats").rglob("*.npz"))
    assert len(files) == 2
    with np.load(files[0], allow_pickle=False) as stored:
        assert stored["mom2.count"] == 512
        assert f"mom2_n_samples {int(stored['sample_size']):,}" in out


def test_enough_text_is_traced(capsys, tmp_path):
    trace = tmp_path / "trace.json"
    arguments = [MODELS / "ks-gpt2-l2", "--corpus", FIXTURES / "facts", "--tokens", "auto", "--layers", "1"]
    corpus = tmp_path / "statements.jsonl"
    from reference_statistics import statements_corpus

    corpus.write_text("".join(json.dumps({"text": each}) + "\n" for each in statements_corpus().texts()))
    arguments[2] = corpus
    status, out, err = run(
        capsys, *arguments, "--num-facts", 16, "--share", 0.4, "--floor", 4, "--ridge", 1e-3, "--trace", trace
    )
    assert (status, err) == (0, "")
    content = json.loads(trace.read_text())
    steps = content["trace"]
    assert [step["tokens"] for step in steps] == [steps[0]["tokens"] * 2**n for n in range(len(steps))]
    for step in steps:
        assert f"{step['tokens']:,}" in out
    last = [of["share"] for of in steps[-1]["statistics"].values()]
    assert content["reached"] == all(share <= 0.4 for share in last)
    assert ("enough: the text error is at most 0.4" in out) == content["reached"]
    for step in steps[:-1]:
        assert any(of["share"] > 0.4 for of in step["statistics"].values())


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--dry-run", "--memory", "1MB"], "memory is 0.00 GB, too little for one layer"),
        (["--dry-run", "--layers", "5"], "layer 5 does not exist"),
        (["--dry-run", "--device", "tpu"], "'tpu'"),
        (["--dry-run", "--tokens", "auto"], "--tokens auto"),
        (["--batches", "2"], "--batches was given without --dry-run"),
        (["--rate", "-1", "--dry-run"], "--rate is -1"),
        (["--trace", "t.json"], "--trace was given without"),
        (["--corpus", "nowhere.txt"], "nowhere.txt"),
        (["--tokens", "8"], "8 tokens"),
        (["--export", "/dev/null/stats"], "--export"),
        (["--dtype", "int4", "--dry-run"], "int4"),
        (["--layout", "grace", "--export", "stats"], "grace"),
        (["--device-map", "auto", "--device", "cuda"], "--device-map"),
    ],
)
def test_what_cannot_be_done_is_one_line_before_any_work(capsys, model, tmp_path, monkeypatch, arguments, what):
    monkeypatch.chdir(tmp_path)
    text = write_text(tmp_path / "text.txt")
    status, out, err = run(capsys, model, "--corpus", text, *arguments)
    assert status == 2
    assert out == ""
    says(err, what=what)


@pytest.mark.parametrize("size", ["40", "x GB", "-1GB", "0GB", "1e3GB", "GB"])
def test_amounts_of_memory_that_are_none_are_refused(capsys, model, size):
    if size == "40":
        assert run(capsys, model, "--dry-run", f"--memory={size}")[0] == 2  # bytes: too little
        return
    with pytest.raises(SystemExit) as stopped:
        run(capsys, model, "--dry-run", f"--memory={size}")
    assert stopped.value.code == 2
    assert "such as 40GB" in capsys.readouterr().err


def test_facts_are_used_where_they_are_given(capsys, model, text, tmp_path):
    facts = write_facts(tmp_path / "facts.json")
    status, _, err = run(capsys, model, "--corpus", text, "--tokens", "auto", "--facts", facts, "--num-facts", 900)
    assert status == 2
    says(err, expected="at least 900")

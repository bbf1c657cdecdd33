"""Second moments of all layers from one pass: right, resumable, and refused when they belong to something else."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from changed_models import CHANGES, ONE_OF_EACH
from checkout import MODELS
from measured import write_text
from reference_statistics import statements_corpus
from safetensors import safe_open
from tiny_models import save_tiny_checkpoint

from ks_core.data.corpus import load_corpus
from ks_core.errors import InputError, ProvenanceError, RankDeficientError
from ks_core.measurement.second_moments import KEPT, collect_second_moments, moment_provenance, moments_folder
from ks_core.measurement.store import load_sum, save_moments
from ks_core.measurement.text import Piece, segments, take_tokens
from ks_core.models.loading import load_model

TOKENS = 256
# float32 products of up to TOKENS terms; the tiny models' keys are of order 1 to 10
RTOL = TOKENS * 2**-24


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("moments")


@pytest.fixture(scope="module", params=["llama", "gpt2", "opt"])
def model(request, folder):
    return load_model(save_tiny_checkpoint(folder / request.param, request.param))


@pytest.fixture(scope="module")
def corpus(folder):
    return load_corpus(str(write_text(folder / "text.txt")))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))


def naive_moment(model, texts, layer):
    """One text at a time, without padding, hooks of torch and float64 throughout."""
    total, count = 0.0, 0
    for ids in texts:
        seen = []
        hook = model.adapter.projection(layer).register_forward_pre_hook(
            lambda _, args, seen=seen: seen.append(args[0])
        )
        with torch.no_grad():
            model.model(torch.from_numpy(ids).long()[None], use_cache=False)
        hook.remove()
        keys = seen[0].reshape(-1, model.adapter.d_key).double()
        assert len(keys) == len(ids)
        total, count = total + keys.T @ keys, count + len(keys)
    return total / count


def count_forward_passes(model):
    passes = []
    hook = model.adapter.backbone.register_forward_pre_hook(lambda *_: passes.append(1))
    return passes, hook


def test_moments_of_all_layers_equal_one_text_at_a_time(model, corpus):
    moments = collect_second_moments(model, corpus, tokens=TOKENS, batch_tokens=64)
    for count in moments.counts:
        texts = take_tokens(corpus.texts(), model.tokenizer, count, 64)
        for layer in range(model.adapter.num_layers):
            expected = naive_moment(model, texts, layer)
            found = moments.at(layer, count).matrix
            torch.testing.assert_close(found, expected, rtol=RTOL, atol=RTOL * float(expected.diagonal().max()))


@pytest.mark.parametrize("name", ["ks-gpt2-l3", "ks-neox-l3", "ks-llama-l3"])
def test_moments_of_trained_models_equal_an_independent_pass_without_checkpoints(name, tmp_path):
    trained, tokens = load_model(MODELS / name), 2048
    corpus = statements_corpus()
    moments = collect_second_moments(trained, corpus, tokens=tokens, folder=tmp_path)
    texts = take_tokens(corpus.texts(), trained.tokenizer, tokens, 1024)
    layer = trained.adapter.num_layers - 1
    expected = naive_moment(trained, texts, layer)
    found = moments.at(layer).matrix
    assert float((found - expected).abs().max()) < 1e-6 * float(expected.abs().max())


def test_planted_fault_a_text_that_loses_its_context_at_a_checkpoint_is_caught(model, corpus, monkeypatch):
    def torn(texts, boundaries):
        for segment in segments(texts, boundaries):
            yield [Piece(piece.ids[piece.start :], 0) for piece in segment]

    monkeypatch.setattr("ks_core.measurement.second_moments.segments", torn)
    moments = collect_second_moments(model, corpus, tokens=TOKENS, batch_tokens=64)
    expected = naive_moment(model, take_tokens(corpus.texts(), model.tokenizer, TOKENS, 64), 1)
    assert not torch.allclose(moments.at(1).matrix, expected, rtol=RTOL, atol=RTOL * float(expected.diagonal().max()))


def test_planted_fault_padding_counted_as_text_is_caught(model, corpus, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "bool", lambda mask: torch.ones_like(mask, dtype=torch.bool))
    moments = collect_second_moments(model, corpus, tokens=TOKENS, batch_tokens=64)
    monkeypatch.undo()
    texts = take_tokens(corpus.texts(), model.tokenizer, TOKENS // 8, 64)
    expected = naive_moment(model, texts, 0)
    found = moments.at(0, TOKENS // 8).matrix
    assert not torch.allclose(found, expected, rtol=RTOL, atol=RTOL * float(expected.diagonal().max()))


@pytest.mark.parametrize("batch_tokens", [16, 1000])
def test_moments_do_not_depend_on_the_batch_size(model, corpus, batch_tokens, tmp_path):
    small, large = (
        collect_second_moments(model, corpus, tokens=TOKENS, batch_tokens=size, folder=tmp_path / str(size))
        for size in (batch_tokens, 100)
    )
    assert small.provenance == large.provenance
    for layer in range(model.adapter.num_layers):
        one, other = small.at(layer).matrix, large.at(layer).matrix
        torch.testing.assert_close(one, other, rtol=RTOL, atol=RTOL * float(one.diagonal().max()))


def test_the_text_is_read_once_for_all_layers_and_not_again_from_the_cache(model, corpus):
    passes, hook = count_forward_passes(model)
    with_all = collect_second_moments(model, corpus, tokens=TOKENS, batch_tokens=64)
    first = len(passes)
    again = collect_second_moments(model, corpus, tokens=TOKENS, batch_tokens=64)
    assert len(passes) == first
    only = collect_second_moments(model, corpus, tokens=TOKENS, batch_tokens=64, layers=[1])
    assert len(passes) == first, "one layer is among all that are kept"
    hook.remove()
    assert (only.folder, only.layers) == (with_all.folder, (1,))
    assert torch.equal(with_all.at(1).matrix, again.at(1).matrix)


def test_one_layer_alone_is_that_of_all_layers(model, corpus, tmp_path):
    every, only = (
        collect_second_moments(model, corpus, tokens=TOKENS, layers=layers, folder=tmp_path / str(layers))
        for layers in (None, [1])
    )
    assert only.layers == (1,)
    assert torch.equal(only.at(1).matrix, every.at(1).matrix)


def test_halves_add_up_to_the_whole(model, corpus):
    moments = collect_second_moments(model, corpus, tokens=TOKENS)
    first, second = moments.halves(1)
    whole = moments.at(1)
    assert first.count + second.count == whole.count == TOKENS
    together = (first.matrix * first.count + second.matrix * second.count) / TOKENS
    torch.testing.assert_close(together, whole.matrix, rtol=1e-12, atol=1e-12 * float(whole.matrix.abs().max()))


def test_too_few_tokens_for_two_halves_of_full_rank_are_refused(model, corpus):
    with pytest.raises(RankDeficientError, match=r"d_key = 12.*at least 24 tokens"):
        collect_second_moments(model, corpus, tokens=23)


def test_too_little_text_leaves_nothing_behind(model, corpus):
    with pytest.raises(InputError, match="ask for fewer tokens"):
        collect_second_moments(model, corpus, tokens=10**6)
    assert not moments_folder(moment_provenance(model, corpus, 10**6, (0, 1))).exists()


def test_infinite_weights_are_named_by_layer(model, corpus):
    weight = model.adapter.weight(0)
    kept = weight.clone()
    weight.fill_(float("inf"))
    try:
        with pytest.raises(InputError, match=r"keys of layer 1 are NaN or infinite"):
            collect_second_moments(model, corpus, tokens=TOKENS)
    finally:
        weight.copy_(kept)


def test_a_truncated_file_is_refused_and_left_alone(model, corpus):
    moments = collect_second_moments(model, corpus, tokens=TOKENS)
    path = max(moments.folder.iterdir())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ProvenanceError, match=r"truncated or damaged.*remove it"):
        moments.at(0)
    assert len(path.read_bytes()) == len(whole) // 2


@pytest.mark.parametrize(
    ("field", "value"),
    [("weights_sha256", "another"), ("dtype", "bfloat16"), ("corpus_sha256", "another"), ("tokens", 128),
     ("longest_text", 7), ("config_sha256", "another"), ("layers", (0,)),
     ("tokenizer_sha256", "another")],
)  # fmt: skip
def test_moments_made_from_something_else_are_refused_by_field(model, corpus, field, value):
    moments = collect_second_moments(model, corpus, tokens=TOKENS)
    other = replace(moments, provenance=replace(moments.provenance, **{field: value}))
    path = max(moments.folder.iterdir())
    target = moments.folder / f"{other.provenance.tokens:012d}-tokens.safetensors"
    if path != target:
        target.write_bytes(path.read_bytes())
    with pytest.raises(ProvenanceError, match=f"{field} = "):
        other.at(0)


def test_another_model_text_or_dtype_has_another_folder(model, corpus):
    provenance = moment_provenance(model, corpus, TOKENS, (0, 1))
    changed = {
        "weights_sha256": "x",
        "config_sha256": "x",
        "corpus_sha256": "x",
        "dtype": "x",
        "tokens": 1,
        "layers": (1,),
    }
    folders = {moments_folder(replace(provenance, **{name: value})) for name, value in changed.items()}
    assert len(folders | {moments_folder(provenance)}) == len(changed) + 1


def test_another_activation_with_the_same_weights_does_not_reuse_moments(corpus, tmp_path):
    folder = save_tiny_checkpoint(tmp_path / "model")
    silu = collect_second_moments(load_model(folder), corpus, tokens=TOKENS)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "gelu"}))
    gelu = collect_second_moments(load_model(folder), corpus, tokens=TOKENS)
    assert not torch.allclose(gelu.at(0).matrix, silu.at(0).matrix, rtol=RTOL)


@pytest.mark.parametrize("change", ONE_OF_EACH)
def test_a_model_that_was_changed_after_loading_has_another_folder(model, corpus, change):
    before = moment_provenance(model, corpus, TOKENS, (0, 1))
    other = load_model(model.name)
    CHANGES[change](other)
    provenance = moment_provenance(other, corpus, TOKENS, (0, 1))
    assert moments_folder(provenance) != moments_folder(before)


def test_a_model_that_changes_while_its_text_is_read_leaves_no_moments_behind(model, corpus, tmp_path):
    other = load_model(model.name)
    passes = []

    def write(*_):
        passes.append(1)
        if len(passes) == 2:
            other.adapter.weight(0).mul_(1.5)

    other.adapter.backbone.register_forward_pre_hook(write)
    with pytest.raises(InputError, match=r"the weights of .* changed while it was measured"):
        collect_second_moments(other, corpus, tokens=TOKENS, batch_tokens=16, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_library_versions_are_recorded_in_the_file_but_make_no_difference(model, corpus, monkeypatch):
    moments = collect_second_moments(model, corpus, tokens=TOKENS)
    with safe_open(max(moments.folder.iterdir()), framework="pt") as file:
        (content,) = map(json.loads, file.metadata().values())
    assert content["about"]["libraries"] == {"torch": version("torch"), "transformers": version("transformers")}
    monkeypatch.setattr("ks_core.measurement.store.version", lambda _: "another")
    again = collect_second_moments(model, corpus, tokens=TOKENS)
    assert again.folder == moments.folder
    assert torch.equal(again.at(0).matrix, moments.at(0).matrix)


@pytest.mark.parametrize("removed", range(len(KEPT)))
def test_any_file_that_is_removed_is_collected_again_to_the_same_bytes(model, corpus, removed):
    moments = collect_second_moments(model, corpus, tokens=TOKENS)
    before = {path.name: path.read_bytes() for path in moments.folder.iterdir()}
    assert len(before) == len(KEPT)
    (moments.folder / sorted(before)[removed]).unlink()
    again = collect_second_moments(model, corpus, tokens=TOKENS)
    assert {path.name: path.read_bytes() for path in moments.folder.iterdir()} == before
    assert torch.equal(again.at(0, again.counts[removed]).matrix, moments.at(0, moments.counts[removed]).matrix)


def test_a_resume_looks_again_when_another_process_has_finished_meanwhile(model, corpus, monkeypatch):
    """Between looking for the last checkpoint and reading it, the other one goes on to the end and drops it."""
    whole = collect_second_moments(model, corpus, tokens=TOKENS)
    files = {path.name: path.read_bytes() for path in whole.folder.iterdir()}
    passing = whole.folder / f"{3 * TOKENS // 8:012d}-tokens.safetensors"
    looked = []

    def finish_when_read(path, *arguments):
        if not looked:
            looked.append(path)
            passing.unlink()
            for name, content in files.items():
                (whole.folder / name).write_bytes(content)
        return load_sum(path, *arguments)

    for path in sorted(whole.folder.iterdir())[2:]:
        path.unlink()
    sums = [load_sum(max(whole.folder.iterdir()), layer, TOKENS // 4, whole.provenance) for layer in (0, 1)]
    save_moments(passing, dict(enumerate(sums)), 3 * TOKENS // 8, whole.provenance)
    monkeypatch.setattr("ks_core.measurement.second_moments.load_sum", finish_when_read)
    passes, hook = count_forward_passes(model)
    again = collect_second_moments(model, corpus, tokens=TOKENS)
    hook.remove()
    assert looked == [passing]
    assert not passes
    assert torch.equal(again.at(1).matrix, whole.at(1).matrix)


@pytest.mark.parametrize("what", ["a folder", "a pipe"])
def test_what_is_no_file_in_the_place_of_a_checkpoint_is_refused_before_anything_is_read(model, corpus, tmp_path, what):
    path = tmp_path / f"{TOKENS:012d}-tokens.safetensors"
    path.mkdir() if what == "a folder" else os.mkfifo(path)
    passes, hook = count_forward_passes(model)
    with pytest.raises(ProvenanceError, match=rf"{path.name} cannot be read .*; expected .*move what is there away"):
        collect_second_moments(model, corpus, tokens=TOKENS, folder=tmp_path)
    hook.remove()
    assert not passes


COLLECT = """
import sys, time
from pathlib import Path
from ks_core.data.corpus import load_corpus
from ks_core.measurement.second_moments import collect_second_moments
from ks_core.models.loading import load_model
model, text, folder, wait = load_model(sys.argv[1]), load_corpus(sys.argv[2]), Path(sys.argv[3]), "wait" in sys.argv
def pause(*_):
    if wait and list(folder.glob("*.safetensors")):
        time.sleep(60)  # in the middle of a forward pass, for the signal to find
model.adapter.backbone.register_forward_pre_hook(pause)
collect_second_moments(model, text, tokens=2000, batch_tokens=16, longest_text=16, folder=folder)
"""


def test_an_interrupted_collection_resumes_to_the_same_bits(tmp_path):
    model, text = save_tiny_checkpoint(tmp_path / "model"), write_text(tmp_path / "text.txt", 500)
    stopped, straight = tmp_path / "stopped", tmp_path / "straight"
    command = [sys.executable, "-c", COLLECT, str(model), str(text)]
    quiet = {"stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    process = subprocess.Popen([*command, str(stopped), "wait"], **quiet)
    deadline = time.monotonic() + 120
    while not list(stopped.glob("*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(1)  # past the end of that write, into the pause: the write itself is not what is interrupted here
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0, "the collection was not interrupted"
    before = {path.name for path in stopped.iterdir()}
    assert before
    assert all(name.endswith(".safetensors") for name in before), "half-written files were left"
    for folder in (stopped, straight):
        settings = {"tokens": 2000, "batch_tokens": 16, "longest_text": 16, "folder": folder}
        collect_second_moments(load_model(model), load_corpus(text), **settings)
    assert sorted(p.name for p in stopped.iterdir()) == sorted(p.name for p in straight.iterdir())
    for path in straight.iterdir():
        assert Path(stopped / path.name).read_bytes() == path.read_bytes()


def test_a_model_with_a_very_long_name_has_a_folder(model, corpus):
    provenance = moment_provenance(model, corpus, TOKENS, (0, 1))
    folder = moments_folder(replace(provenance, model="ж" * 300))
    folder.mkdir(parents=True)
    assert folder.name.endswith(provenance.digest())

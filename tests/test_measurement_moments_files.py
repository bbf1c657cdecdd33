"""The files of second moments: whose they are, when they are read again, and what an interruption leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import version

import pytest
import torch
from changed_models import CHANGES, ONE_OF_EACH
from errors import refused
from measured import passes_of, write_text
from safetensors import safe_open
from tiny_models import save_tiny_checkpoint

from ks_core.data.corpus import load_corpus
from ks_core.errors import InputError, ProvenanceError
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.measurement.moments.second_moments import STORED_AFTER, moment_provenance, moments_folder
from ks_core.measurement.moments.store import load_sum, save_sum, sum_path
from ks_core.models.loading import load_model

TOKENS = 256
RTOL = TOKENS * 2**-24
"""float32 products of that many terms"""


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


def content_of(folder):
    """Every file below a folder, by its path in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_truncated_file_is_refused_and_left_alone(model, corpus):
    moments = collect_second_moments(model, corpus, tokens=TOKENS)
    path = moments.file(0, TOKENS)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ProvenanceError, match=r"truncated or damaged.*remove it"):
        moments.at(0)
    assert len(path.read_bytes()) == len(whole) // 2


@pytest.mark.parametrize(
    ("field", "value"),
    [("weights_sha256", "another"), ("dtype", "bfloat16"), ("corpus_sha256", "another"),
     ("longest_text", 7), ("config_sha256", "another"),
     ("tokenizer_sha256", "another")],
)  # fmt: skip
def test_moments_made_from_something_else_are_refused_by_field(model, corpus, field, value):
    moments = collect_second_moments(model, corpus, tokens=TOKENS)
    other = replace(moments, provenance=replace(moments.provenance, **{field: value}))
    with pytest.raises(ProvenanceError, match=f"{field} = "):
        other.at(0)


@pytest.mark.parametrize(("field", "file"), [("layer", (1, TOKENS)), ("count", (0, TOKENS // 2))])
def test_a_file_of_another_layer_or_amount_of_text_is_refused(model, corpus, field, file):
    moments = collect_second_moments(model, corpus, tokens=TOKENS)
    moments.file(0, TOKENS).write_bytes(moments.file(*file).read_bytes())
    with pytest.raises(ProvenanceError, match=f"holds sums of {field} "):
        moments.at(0)


def test_another_model_text_or_dtype_has_another_folder(model, corpus):
    provenance = moment_provenance(model, corpus, TOKENS)
    changed = {
        "weights_sha256": "x",
        "config_sha256": "x",
        "corpus_sha256": "x",
        "dtype": "x",
        "longest_text": 1,
    }
    folders = {moments_folder(replace(provenance, **{name: value})) for name, value in changed.items()}
    assert len(folders | {moments_folder(provenance)}) == len(changed) + 1
    assert moments_folder(replace(provenance, tokens=1)) == moments_folder(provenance), "all amounts of one text"


def test_another_activation_with_the_same_weights_does_not_reuse_moments(corpus, tmp_path):
    folder = save_tiny_checkpoint(tmp_path / "model")
    silu = collect_second_moments(load_model(folder), corpus, tokens=TOKENS)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "gelu"}))
    gelu = collect_second_moments(load_model(folder), corpus, tokens=TOKENS)
    assert not torch.allclose(gelu.at(0).matrix, silu.at(0).matrix, rtol=RTOL)


@pytest.mark.parametrize("change", ONE_OF_EACH)
def test_a_model_that_was_changed_after_loading_has_another_folder(model, corpus, change):
    before = moment_provenance(model, corpus, TOKENS)
    other = load_model(model.name)
    CHANGES[change](other)
    provenance = moment_provenance(other, corpus, TOKENS)
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
    with safe_open(moments.file(0, TOKENS), framework="pt") as file:
        (content,) = map(json.loads, file.metadata().values())
    assert content["about"]["libraries"] == {"torch": version("torch"), "transformers": version("transformers")}
    monkeypatch.setattr("ks_core.measurement.moments.store.version", lambda _: "another")
    again = collect_second_moments(model, corpus, tokens=TOKENS)
    assert again.folder == moments.folder
    assert torch.equal(again.at(0).matrix, moments.at(0).matrix)


@pytest.mark.parametrize("removed", range(len(STORED_AFTER)))
def test_any_file_that_is_removed_is_collected_again_to_the_same_bytes(model, corpus, removed):
    moments = collect_second_moments(model, corpus, tokens=TOKENS)
    before = content_of(moments.folder)
    assert len(before) == len(STORED_AFTER) * len(moments.layers)
    moments.file(0, moments.counts[removed]).unlink()
    again = collect_second_moments(model, corpus, tokens=TOKENS)
    assert content_of(moments.folder) == before
    assert torch.equal(again.at(0, again.counts[removed]).matrix, moments.at(0, moments.counts[removed]).matrix)


def test_a_resume_looks_again_when_another_process_has_finished_meanwhile(model, corpus, monkeypatch):
    """Between looking for the last checkpoint and reading it, the other one goes on to the end and drops it."""
    whole = collect_second_moments(model, corpus, tokens=TOKENS)
    files = content_of(whole.folder)
    passing = [sum_path(whole.folder, layer, 3 * TOKENS // 8, passing=True) for layer in (0, 1)]
    looked = []

    def finish_when_read(path, *arguments):
        if not looked:
            looked.append(path)
            for each in passing:
                each.unlink()
            for name, content in files.items():
                (whole.folder / name).write_bytes(content)
        return load_sum(path, *arguments)

    for layer, path in enumerate(passing):
        total = load_sum(whole.file(layer, TOKENS // 4), layer, TOKENS // 4, whole.provenance)
        save_sum(path, total, layer, 3 * TOKENS // 8, 9, whole.provenance)
        for count in whole.counts[2:]:
            whole.file(layer, count).unlink()
    monkeypatch.setattr("ks_core.measurement.moments.passes.load_sum", finish_when_read)
    again, passes = passes_of(model, lambda: collect_second_moments(model, corpus, tokens=TOKENS))
    assert looked == passing[:1]
    assert passes == 0
    assert torch.equal(again.at(1).matrix, whole.at(1).matrix)


@pytest.mark.parametrize("what", ["a folder", "a pipe"])
def test_what_is_no_file_in_the_place_of_a_checkpoint_is_refused_before_anything_is_read(model, corpus, tmp_path, what):
    path = sum_path(tmp_path, 1, TOKENS)
    path.parent.mkdir()
    path.mkdir() if what == "a folder" else os.mkfifo(path)

    def collect():
        with refused(ProvenanceError, what=path.name, remedy="move what is there"):
            collect_second_moments(model, corpus, tokens=TOKENS, folder=tmp_path)

    assert passes_of(model, collect) == (None, 0)


COLLECT = """
import sys, time
from pathlib import Path
from ks_core.data.corpus import load_corpus
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.models.loading import load_model
model, text, folder, wait = load_model(sys.argv[1]), load_corpus(sys.argv[2]), Path(sys.argv[3]), "wait" in sys.argv
def pause(*_):
    if wait and list(folder.rglob("*.safetensors")):
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
    while not list(stopped.rglob("*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(1)  # past the end of that write, into the pause: the write itself is not what is interrupted here
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0, "the collection was not interrupted"
    before = content_of(stopped)
    assert before
    assert all(name.endswith(".safetensors") for name in before), "half-written files were left"
    for folder in (stopped, straight):
        settings = {"tokens": 2000, "batch_tokens": 16, "longest_text": 16, "folder": folder}
        collect_second_moments(load_model(model), load_corpus(text), **settings)
    assert content_of(stopped) == content_of(straight)


def test_a_model_with_a_very_long_name_has_a_folder(model, corpus):
    provenance = moment_provenance(model, corpus, TOKENS)
    folder = moments_folder(replace(provenance, model="ж" * 300))
    folder.mkdir(parents=True)
    assert folder.name.endswith(moments_folder(provenance).name.rpartition("-")[2])

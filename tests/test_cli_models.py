"""`ks models` and `ks.models`: what is said of a model before it is loaded is what the loaded one is."""

import json
import logging
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from errors import refused, says
from tiny_models import save_tiny_checkpoint
from warm import run_module

import ks_core as ks
from ks_core.errors import AssetError
from ks_core.models import sources
from ks_core.models.packaged import PACKAGED_MODELS, packaged_folder

NAME = "smollm2-135m-instruct"


def models(folder, *words):
    given = {**os.environ, "KS_CORE_CACHE": str(folder / "cache"), "PIP_NO_INDEX": "1", "HF_HUB_OFFLINE": "1"}
    return run_module("ks_core.cli", "models", *words, cwd=folder, env=given)


def test_the_packaged_models_are_listed_in_eighty_columns_and_nothing_is_fetched(tmp_path):
    found = models(tmp_path, "--json", "models.json")
    assert (found.returncode, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["name", "toy", NAME]
    assert max(map(len, lines)) <= 110
    assert lines[1].endswith("here")
    assert lines[2].endswith("to fetch: 92.9 MB")
    assert not (tmp_path / "cache").exists()
    written = json.loads((tmp_path / "models.json").read_text())
    assert written["format"] == "ks_core/models/1"
    assert [of["cached"] for of in written["models"]] == [True, False]


@pytest.mark.parametrize("columns", [20, 40, 80])
@pytest.mark.parametrize("words", [(), ("toy",)])
def test_narrow_screens_get_a_block_a_model_and_no_line_beyond_their_width(columns, words, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    said = models(tmp_path, *words).stdout
    assert "toy\n  family " in said
    wide = [line for line in said.splitlines() if len(line) > columns]
    assert all(max(map(len, line.split())) + 14 > columns for line in wide), "a word that is to be copied whole"


def test_retries_of_the_hub_are_not_said_beside_the_error(monkeypatch, capfd):
    def asked(*_, **__):
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s [Retry 1/5].")
        raise OSError("no network")

    monkeypatch.setattr(sources, "cached_file", asked)
    with refused(AssetError, what="nosuch cannot be fetched"):
        ks.models("nosuch")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "llama"])
def test_what_is_seen_of_a_model_is_what_the_loaded_one_is(family, tmp_path):
    folder = save_tiny_checkpoint(tmp_path / "model", family)
    (seen,) = ks.models(str(folder))
    loaded = ks.load_model(folder)
    adapter = loaded.adapter
    assert (seen.family, seen.layers, seen.d_key, seen.d_value) == (
        adapter.model_type,
        adapter.num_layers,
        adapter.d_key,
        adapter.d_value,
    )
    parameters = dict(loaded.model.named_parameters())
    assert seen.parameters == sum(of.numel() for of in parameters.values())
    edited = parameters[seen.edited.format(layer=1)]
    assert tuple(edited.shape) == ((seen.d_key, seen.d_value) if seen.transposed else (seen.d_value, seen.d_key))
    assert edited.data_ptr() == adapter.weight(1).data_ptr()
    head, embedding = loaded.model.get_output_embeddings(), loaded.model.get_input_embeddings()
    assert seen.tied == (head.weight is embedding.weight)
    assert seen.disk == sum(path.stat().st_size for path in Path(folder).iterdir())
    said = models(tmp_path, "model").stdout
    assert seen.edited in said
    assert ("stored transposed" in said) == seen.transposed


@pytest.mark.skipif(not packaged_folder(NAME).is_dir(), reason="the packaged model is not in the cache")
def test_what_is_said_of_the_packaged_model_before_it_is_fetched_is_what_it_is(tmp_path, monkeypatch):
    (there,) = ks.models(NAME)
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path))
    (awaited,) = ks.models(NAME)
    assert (awaited.cached, there.cached) == (False, True)
    assert awaited.download == PACKAGED_MODELS[NAME].wheel_bytes
    assert awaited.disk == pytest.approx(there.disk, rel=0.01)
    same = {"cached", "download", "disk", "location"}
    assert {k: v for k, v in asdict(awaited).items() if k not in same} == {
        k: v for k, v in asdict(there).items() if k not in same
    }


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["./nowhere"], {"what": "ks models: error: ", "got": "nowhere"}),
        (["{file}"], {"got": "is not a folder"}),
        (["toy", "--revision", "main"], {"got": "revision 'main' means nothing", "remedy": "leave it out"}),
        (["toy", "--json", "{folder}"], {"what": "--json", "got": "is a folder"}),
        ([""], {"what": "argument MODEL: ''"}),
        (["--layers", "3"], {"got": "unrecognized arguments: --layers"}),
    ],
)
def test_bad_input_is_one_line_and_status_2_and_nothing_is_written(words, parts, tmp_path):
    (tmp_path / "file").write_text("no model")
    found = models(tmp_path, *(word.format(file=tmp_path / "file", folder=tmp_path) for word in words))
    assert (found.returncode, found.stdout) == (2, "")
    (line,) = found.stderr.splitlines()
    says(line, **parts)
    assert {path.name for path in tmp_path.iterdir()} == {"file"}

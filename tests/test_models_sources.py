"""What a model's name means, and that the hub is not asked in vain (offline, each question is an AssetError)."""

from __future__ import annotations

import pytest
from checkpoints import rewritten
from errors import refused
from tiny_models import save_tiny_checkpoint

from ks_core.errors import AssetError, InputError
from ks_core.models.loading import load_model
from ks_core.models.sources import source_of


@pytest.mark.parametrize("name", ["model.gguf", "Model.Q4_1.GGUF", "models/model.gguf", "model.safetensors",
                                  "pytorch_model.bin", "owner/model.pt", "config.json"])  # fmt: skip
def test_source_of_asks_no_hub_for_a_file_that_is_not_there(name):
    with refused(InputError, what=name, expected="config.json"):
        source_of(name, None)


@pytest.mark.parametrize("name", ["", ".nothing", "./model", "../model", "/no/such/folder", "~/model", "model/",
                                  "a/b/c", "C:\\model", "a b", "nul\0", "half\udc80", "x/" * 5000, "two\nlines"],
                         ids=ascii)  # fmt: skip
def test_source_of_asks_no_hub_for_what_is_no_hub_id(name):
    with pytest.raises(InputError, match="is no folder and no hub id") as caught:
        source_of(name, None)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["model", "owner/model", "owner/model-v1.5", "openai-community/gpt2"])
def test_source_of_asks_the_hub_for_a_hub_id(monkeypatch, name):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(AssetError, match=f"^{name} cannot be fetched from the model hub"):
        source_of(name, None)


@pytest.mark.parametrize("name", ["model.gguf", "other.GGUF"])
def test_source_of_refuses_a_gguf_file_at_once_and_says_how_to_convert_it(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"GGUF")
    for spec in (name, str(tmp_path / name)):
        with refused(InputError, what=name, got="a GGUF file", remedy="gguf_file=NAME"):
            load_model(spec)


@pytest.mark.parametrize("config", [True, False], ids=["config", "alone"])
def test_load_model_refuses_a_folder_that_holds_a_gguf_file_for_weights(tmp_path, config):
    folder = save_tiny_checkpoint(tmp_path / "whole")
    if config:
        rewritten(folder, tmp_path / "gguf", model_safetensors=None)
    (tmp_path / "gguf").mkdir(exist_ok=True)
    (tmp_path / "gguf" / "model.Q8_0.gguf").write_bytes(b"GGUF")
    with pytest.raises(InputError, match=r"model\.Q8_0\.gguf is a GGUF file"):
        load_model(tmp_path / "gguf")


@pytest.mark.parametrize("name", ["model", "model.safetensors", "link"])
def test_source_of_refuses_what_is_there_and_no_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("nowhere")
    if name != "link":
        (tmp_path / name).write_bytes(b"")
    with refused(InputError, what=f"{name} is not a folder", expected="config.json"):
        source_of(name, None)


def test_source_of_takes_any_folder_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.gguf").mkdir()
    assert source_of("model.gguf", None).location == "model.gguf"


def test_errors_about_a_folder_stay_on_one_line_whatever_its_name(tmp_path):
    folder = tmp_path / "two\nlines\x1b[2J"
    folder.mkdir()
    with pytest.raises(InputError, match="has no config") as caught:
        load_model(folder)
    assert str(caught.value).isprintable()
    assert r"two\nlines\x1b[2J" in str(caught.value)

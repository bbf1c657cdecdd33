"""What is read back is what was written: any flipped bit is caught or harmless, anything else is one clear error."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from measured import write_facts
from safetensors.torch import save_file
from tiny_models import save_tiny_checkpoint

from ks_core.checked_files import read_json, read_tensors, write_json, write_tensors
from ks_core.data.facts import load_facts
from ks_core.errors import KsError, NotKeptError, ProvenanceError
from ks_core.files import cache_dir
from ks_core.measurement.accumulator import SecondMomentAccumulator
from ks_core.measurement.kept import kept_target_values
from ks_core.measurement.known import known_facts
from ks_core.measurement.provenance import MomentProvenance
from ks_core.measurement.store import load_sum, save_moments
from ks_core.measurement.values import ValueSettings
from ks_core.models.loading import load_model
from ks_core.reproduction.baseline import load_baseline
from ks_core.training import train as training
from ks_core.training.architectures import config_of, new_model

FORM = "ks_core/test/1"
CONTENT = {"numbers": [0.1, 1e-300, -3], "text": "Łódź \ud800", "nothing": None, 2: (1, 2), 10: {"a": True}}
TENSORS = {
    "a": torch.arange(12, dtype=torch.float64).reshape(3, 4) / 7,
    "b": torch.tensor([1, -2]),
    "empty": torch.empty(0, 3),
    "number": torch.tensor(0.5, dtype=torch.bfloat16),
}
FLIPS = 100
"""For each of the six kinds of file"""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))


def test_json_is_read_as_it_was_written_and_equal_content_is_an_equal_file(tmp_path):
    for name in ("one", "other"):
        write_json(tmp_path / name, FORM, CONTENT)
    assert read_json(tmp_path / "one", FORM) == json.loads(json.dumps(CONTENT))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_tensors_are_read_as_they_were_written_and_equal_content_is_an_equal_file(tmp_path):
    for name in ("one", "other"):
        write_tensors(tmp_path / name, FORM, CONTENT, TENSORS)
    with read_tensors(tmp_path / "one", FORM) as stored:
        assert stored.about == json.loads(json.dumps(CONTENT))
        for name, tensor in TENSORS.items():
            found = stored.get(name, dtype=tensor.dtype, shape=tuple(tensor.shape))
            assert torch.equal(found, tensor)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_an_error_of_whoever_reads_stays_what_it_is(tmp_path):
    write_tensors(tmp_path / "file", FORM, {}, TENSORS)
    with pytest.raises(KeyError, match="mine"), read_tensors(tmp_path / "file", FORM):
        raise KeyError("mine")


@pytest.mark.parametrize(
    ("name", "dtype", "shape", "said"),
    [
        ("c", torch.float64, (3, 4), "it has no c"),
        ("a", torch.float32, (3, 4), r"a is torch.float64 of \(3, 4\), not torch.float32"),
        ("a", torch.float64, (4, 3), r"not torch.float64 of \(4, 3\)"),
        ("a", torch.float64, (None,), r"not torch.float64 of \(any\)"),
    ],
)
def test_a_tensor_that_is_not_what_was_expected_is_refused(tmp_path, name, dtype, shape, said):
    write_tensors(tmp_path / "file", FORM, {}, TENSORS)
    with (
        read_tensors(tmp_path / "file", FORM) as stored,
        pytest.raises(ProvenanceError, match=rf"file is truncated or damaged \(.*{said}.*remove it"),
    ):
        stored.get(name, dtype=dtype, shape=shape)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_tensor_that_is_not_finite_is_refused(tmp_path, bad):
    write_tensors(tmp_path / "file", FORM, {}, {"a": torch.tensor([1.0, bad])})
    with read_tensors(tmp_path / "file", FORM) as stored, pytest.raises(ProvenanceError, match="a is not finite"):
        stored.get("a", dtype=torch.float32, shape=(2,))


def test_one_tensor_is_read_without_the_others(tmp_path):
    """A flip in one is not noticed by whoever reads the other, and is by whoever reads it."""
    path = tmp_path / "file"
    write_tensors(path, FORM, {}, {"a": TENSORS["a"], "b": TENSORS["a"] + 1})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with read_tensors(path, FORM) as stored:
        assert torch.equal(stored.get("a", dtype=torch.float64, shape=(3, 4)), TENSORS["a"])
        with pytest.raises(ProvenanceError, match="b does not have its sha256"):
            stored.get("b", dtype=torch.float64, shape=(3, 4))


DEEP = "[" * 100_000
MARKED = f'{{"format": "{FORM}", '
JSON = [
    *("", "{", "[]", "5", "null", '"text"', "{}", "\ufeff{}", DEEP, '{"a": ' + DEEP, b"\xff\xfe", b"\0" * 100),
    *(
        '{"format": 5}',
        '{"format": {}}',
        MARKED + '"a": 1}',
        MARKED + '"sha256": 5}',
        MARKED + '"sha256": [], "a": NaN}',
    ),
    *(MARKED + '"a": Infinity}', MARKED + '"a": ' + "9" * 5000 + "}"),
]


@pytest.mark.parametrize("content", JSON, ids=lambda content: str(content[:40]))
def test_json_of_any_other_kind_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "file.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ProvenanceError, match=r"file\.json is .*: .*remove it and it is made again") as info:
        read_json(path, FORM)
    assert len(str(info.value)) < 600
    assert "\n" not in str(info.value)


METADATA = [None, {}, {"other": "{}"}, *({FORM: content} for content in JSON if isinstance(content, str)),
            {FORM: '{"sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}'}]  # fmt: skip


@pytest.mark.parametrize("metadata", METADATA, ids=lambda metadata: str(metadata)[:40])
def test_tensors_with_any_other_header_are_refused_in_one_line(tmp_path, metadata):
    path = tmp_path / "file.safetensors"
    save_file({"a": torch.zeros(2)}, path, metadata)
    with (
        pytest.raises(ProvenanceError, match=r"file\.safetensors is .*remove it and it is made again") as info,
        read_tensors(path, FORM),
    ):
        pass
    assert len(str(info.value)) < 600
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 8,
        b"\xff" * 100,
        struct.pack("<Q", 2**40) + b"{}",
        struct.pack("<Q", 100_000) + DEEP.encode(),
        b"PK\3\4",
    ],
    ids=["empty", "zeros", "ones", "huge header", "deep header", "zip"],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ProvenanceError, match=r"file is truncated or damaged \(.*remove it"), read_tensors(path, FORM):
        pass


@pytest.mark.parametrize(
    "read", [lambda path: read_json(path, FORM), lambda path: read_tensors(path, FORM).__enter__()]
)
def test_what_is_there_and_cannot_be_read_is_not_called_missing(tmp_path, read):
    with pytest.raises(NotKeptError, match="does not exist"):
        read(tmp_path / "none")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "folder", tmp_path / "loop", tmp_path / "pipe", tmp_path / "file" / "below"):
        with pytest.raises(ProvenanceError, match=rf"{path.name} cannot be read \(.*\); expected") as info:
            read(path)
        assert not isinstance(info.value, NotKeptError)


READ_AS_NOBODY = """
import os, sys
from pathlib import Path
from ks_core.checked_files import read_json
from ks_core.errors import NotKeptError, ProvenanceError
if os.getuid() == 0:
    os.setgroups([])
    os.setuid(65534)
try:
    read_json(Path(sys.argv[1]), "x")
except ProvenanceError as error:
    print(isinstance(error, NotKeptError), error)
"""


def test_a_file_without_permission_is_not_called_missing():
    folder = Path("/var/tmp") / f"ks-core-{os.getpid()}"  # noqa: S108 - a place that every user can reach
    folder.mkdir(mode=0o755)
    try:
        (folder / "file").write_text("{}")
        (folder / "file").chmod(0)
        command = [sys.executable, "-c", READ_AS_NOBODY, str(folder / "file")]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    finally:
        (folder / "file").unlink(missing_ok=True)
        folder.rmdir()
    assert said.startswith(f"False {folder / 'file'} cannot be read (Permission denied); expected")


PROVENANCE = MomentProvenance("m", "w", "c", "t", "float32", (0, 1), "text", "sha", 256, 64, 8)


def keep_moments(folder):
    path, generator = folder / "moments.safetensors", torch.Generator().manual_seed(0)
    sums = {}
    for layer in (0, 1):
        accumulator = SecondMomentAccumulator(6)
        accumulator.update(torch.randn(256, 6, generator=generator))
        sums[layer] = accumulator.packed()
    save_moments(path, sums, 256, PROVENANCE)
    return path, lambda: [load_sum(path, layer, 256, PROVENANCE).tolist() for layer in (0, 1)]


def keep_values(folder):
    model = load_model(save_tiny_checkpoint(folder / "model", "gpt2"))
    facts = load_facts(write_facts(folder / "facts.json")).facts[:3]

    def ask():
        found = kept_target_values(model, facts, 0, ValueSettings(steps=1))
        return [getattr(found, name).tolist() for name in ("keys", "values", "probabilities", "steps")]

    ask()
    return next((cache_dir() / "values").iterdir()), ask


def keep_known(folder):
    model = load_model(save_tiny_checkpoint(folder / "model", "gpt2"))
    facts = load_facts(write_facts(folder / "facts.json"))
    known_facts(model, facts)
    return next((cache_dir() / "known").iterdir()), lambda: known_facts(model, facts)


def keep_checkpoint(folder):
    path = folder / "checkpoint.safetensors"

    def fresh(seed):
        model = new_model(config_of("gpt2", 1, 40), seed=seed)
        return model, training._optimizer(model, training.Recipe())

    model, optimizer = fresh(0)
    for parameter in model.parameters():
        optimizer.state[parameter] = {kind: torch.rand_like(parameter) for kind in ("exp_avg", "exp_avg_sq")}
    training._save(model, optimizer, path, 200, 1.5)

    def ask():
        model, optimizer = fresh(1)
        found = training._resume(model, optimizer, path)
        return found, [(name, tensor.tolist()) for name, tensor in training._state(model, optimizer).items()]

    return path, ask


def keep_baseline(folder):
    path = folder / "baseline.json"
    finding = {"value": 0.25, "error": 0.01, "verdict": "holds", "quantity": "P", "threshold": "> 0"}
    statistics = {"kurtosis of P": {"value": [1.5, None], "error": [0.25, None]}}
    parts = {"request": {"model": "m"}, "provenance": {"weights_sha256": "w"}, "findings": {"a": finding}}
    write_json(path, "ks_core/baseline/2", {**parts, "statistics": statistics})
    return path, lambda: load_baseline(path)


def keep_json(folder):
    path = folder / "file.json"
    write_json(path, FORM, CONTENT)
    return path, lambda: read_json(path, FORM)


def answer_or_error(ask):
    try:
        return ask(), None
    except KsError as error:
        return None, str(error)


@pytest.mark.parametrize("keep", [keep_moments, keep_values, keep_known, keep_checkpoint, keep_baseline, keep_json])
def test_flipped_bits_are_caught_or_harmless(tmp_path, keep):
    """Half of them anywhere, half in the first thousand bytes, where headers are."""
    path, ask = keep(tmp_path)
    before, content, draw = ask(), path.read_bytes(), np.random.default_rng(0)
    caught = 0
    for flip in range(FLIPS):
        place = draw.integers(len(content) if flip % 2 else min(1000, len(content)))
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(draw.integers(8))
        path.write_bytes(damaged)
        found, said = answer_or_error(ask)
        caught += said is not None
        assert found == before or (path.name in said and "\n" not in said), f"after a flip at byte {place}: {said}"
        assert path.read_bytes() == damaged, "what is damaged is left alone"
    assert caught > FLIPS / 2
    path.write_bytes(content)
    assert ask() == before


def test_planted_fault_without_checksums_flips_pass(tmp_path, monkeypatch):
    monkeypatch.setattr("ks_core.checked_files._sha256_of_tensor", lambda _: "")
    path, ask = keep_moments(tmp_path)
    before, content = ask(), bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    assert not np.array_equal(ask(), before)

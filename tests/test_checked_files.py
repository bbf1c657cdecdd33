"""What is read back is what was written, anything else is one clear error."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ks_core.checked_files import read_json, read_tensors, write_json, write_tensors
from ks_core.errors import NotStoredError, ProvenanceError

FORM = "ks_core/test/1"
CONTENT = {"numbers": [0.1, 1e-300, -3], "text": "Łódź \ud800", "nothing": None, 2: (1, 2), 10: {"a": True}}
TENSORS = {
    "a": torch.arange(12, dtype=torch.float64).reshape(3, 4) / 7,
    "b": torch.tensor([1, -2]),
    "empty": torch.empty(0, 3),
    "number": torch.tensor(0.5, dtype=torch.bfloat16),
}


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
    with pytest.raises(NotStoredError, match="does not exist"):
        read(tmp_path / "none")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "folder", tmp_path / "loop", tmp_path / "pipe", tmp_path / "file" / "below"):
        with pytest.raises(ProvenanceError, match=rf"{path.name} cannot be read \(.*\); expected") as info:
            read(path)
        assert not isinstance(info.value, NotStoredError)


READ_AS_NOBODY = """
import os, sys
from pathlib import Path
from ks_core.checked_files import read_json
from ks_core.errors import NotStoredError, ProvenanceError
if os.getuid() == 0:
    os.setgroups([])
    os.setuid(65534)
try:
    read_json(Path(sys.argv[1]), "x")
except ProvenanceError as error:
    print(isinstance(error, NotStoredError), error)
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

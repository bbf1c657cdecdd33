"""What is in the wheel, built as a release is: all that runs, of trained weights the toy's, and not what makes them."""

import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import PurePosixPath

import pytest
from checkout import MODELS, ROOT

from ks_core.models.toys import TOYS

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
    assert packed == {"baselines", "facts", "models", "paper"}
    facts = ("facts/facts.json", "facts/everyday.json", "facts/insertions.json")
    for name in (*facts, "paper/gpt2_small.json", "baselines/smollm2-135m-instruct.json"):
        assert wheel.read(f"ks_core/fixtures/{name}") == (ROOT / "fixtures" / name).read_bytes()


def test_a_wheel_has_of_all_weights_the_toys_which_are_those_of_the_repository(wheel):
    (toy,) = TOYS.values()
    place = f"ks_core/fixtures/models/{toy.folder}"
    assert [name for name in wheel.namelist() if name.endswith(".safetensors")] == [f"{place}/model.safetensors"]
    for name, digest in toy.files.items():
        assert hashlib.sha256(wheel.read(f"{place}/{name}")).hexdigest() == digest
        assert (MODELS / toy.folder / name).read_bytes() == wheel.read(f"{place}/{name}")
    assert b"by-sa/4.0" in wheel.read("ks_core/fixtures/models/LICENSE")


def test_an_unpacked_wheel_loads_the_toy_where_no_checkout_is(wheel, tmp_path):
    wheel.extractall(tmp_path)  # noqa: S202  (of our own build)
    code = "import ks_core as ks; m = ks.load_model('toy'); print(m.name, m.adapter.num_layers, ks.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "HF_HUB_OFFLINE": "1", "KS_CORE_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["toy", "2", str(tmp_path / "ks_core" / "__init__.py")]


def test_a_source_archive_has_what_a_wheel_is_made_of_and_no_other_weights(tmp_path):
    build = BUILD.replace("build_wheel", "build_sdist")
    done = subprocess.run(
        [sys.executable, "-c", build, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True, encoding="utf-8"
    )
    with tarfile.open(tmp_path / done.stdout.strip()) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert [path.parent.name for path in unpacked.rglob("*.safetensors")] == [of.folder for of in TOYS.values()]
    subprocess.run([sys.executable, "-c", BUILD, tmp_path], cwd=unpacked, capture_output=True, check=True)


def test_a_wheel_has_no_scripts_or_tests_and_is_small(wheel):
    tops = {PurePosixPath(name).parts[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ks_core"}
    assert not [name for name in wheel.namelist() if name.endswith((".png", "tables.json", "titles.txt"))]
    assert sum(of.compress_size for of in wheel.infolist()) < 2e6


def test_a_wheel_names_its_extras_and_licences(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = wheel.read(name).decode()
    for extra in ("models", "paper", "hub", "conformance", "test"):
        assert f"Provides-Extra: {extra}\n" in metadata
    assert "License-Expression: MIT AND CC0-1.0 AND CC-BY-SA-4.0\n" in metadata

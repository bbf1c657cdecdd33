"""Files that a real run of pytest-benchmark wrote, and changes to them."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

BENCHMARKS = """
import pytest


@pytest.fixture(autouse=True)
def _threads(benchmark):
    benchmark.extra_info["threads"] = 1


@pytest.mark.parametrize("length", [100, 200])
def test_sort(benchmark, length):
    benchmark.pedantic(sorted, (list(range(length)),), rounds=20)
    benchmark.extra_info.update(
        ratio_to_limit=1.5, ratio_to_limit_error=0.1, ratio_to_limit_rounds=20, limit="products",
        ratio_to_replaced=0.1, ratio_to_replaced_error=0.01, replaced="the loop",
        speedup=9.0, speedup_error=0.5, ratio_of_lengths=2.0, ratio_of_lengths_standard_error=0.01,
        edits=100, limit_seconds=0.25, words="any",
    )


def test_once(benchmark):
    benchmark.pedantic(sorted, ([2, 1],), rounds=1)
"""

KNOWN = {"brand_raw": "Processor", "count": 2, "arch": "X86_64"}
"""Of a machine on which nothing is found out about the processor."""


def run_benchmarks(folder: Path, name: str, *options: str) -> Path:
    """Run the benchmarks once; the file that pytest-benchmark wrote."""
    (folder / "test_sorting.py").write_text(BENCHMARKS)
    arguments = ["-q", "-p", "no:cacheprovider", f"--rootdir={folder}", *options]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "test_sorting.py", f"--benchmark-json={folder / name}", *arguments],
        cwd=folder,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads((folder / name).read_text())
    content["machine_info"]["cpu"] = {**KNOWN, **content["machine_info"]["cpu"]}
    return store(folder / name, content)


def store(path: Path, content: Any) -> Path:
    """Write JSON, NaN too, as careless writers do."""
    path.write_text(json.dumps(content))
    return path


def changed(content: Any, name: str = "test_sort[100]", **info: Any) -> Any:
    """A copy with another `extra_info` of a benchmark, by its short name; None takes an entry away."""
    made = copy.deepcopy(content)
    (each,) = (of for of in made["benchmarks"] if of["name"] == name)
    each["extra_info"] = {key: of for key, of in {**each["extra_info"], **info}.items() if of is not None}
    return made


def slower(content: Any, factor: float, name: str = "test_sort[100]") -> Any:
    """A copy in which a benchmark took so many times as long, its spread a hundredth of that: a calm machine."""
    made = copy.deepcopy(content)
    (each,) = (of for of in made["benchmarks"] if of["name"] == name)
    each["stats"]["mean"] *= factor
    each["stats"]["stddev"] = each["stats"]["mean"] / 100 if each["stats"]["rounds"] > 1 else 0
    return made

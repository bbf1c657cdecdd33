"""Peak memory of a whole measurement of the packaged model, read from the process that made it."""

import os
import subprocess
import sys

import pytest
from limits import note_memory

from ks_core.files import cache_dir

pytestmark = pytest.mark.speed

MOST_GIB = 4.0
"""A laptop with 8 GiB must be able to do it beside a browser."""

GIB = 2**30

# Of this process alone: ru_maxrss would begin with what the process had that started it, the model in it included.
MEASURE = """
from pathlib import Path
from ks_core.experiments.pairs.measure import measure
from ks_core.experiments.request.settings import Settings
lines = lambda: Path("/proc/self/status").read_text().splitlines()
peak = lambda: next(int(line.split()[1]) for line in lines() if line.startswith("VmHWM"))
before = peak()
measure(Settings(tokens=16_384))
print(before, peak())
"""


@pytest.mark.usefixtures("corpus")  # fetched by it and by model: what is measured is the pass over text, no download
def test_peak_memory_of_a_measurement(benchmark, model, tmp_path):
    for kept in ("models", "text"):
        (tmp_path / kept).symlink_to(cache_dir() / kept)
    environment = {**os.environ, "KS_CORE_CACHE": str(tmp_path)}

    def run():
        return subprocess.run(
            [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True, env=environment
        )

    done = benchmark.pedantic(run, rounds=1)
    imported, peak = (int(kib) * 1024 / GIB for kib in done.stdout.split()[-2:])
    weights = sum(each.numel() * each.element_size() for each in model.model.parameters()) / GIB
    moments = model.adapter.num_layers * model.adapter.d_key**2 * 8 / GIB
    note_memory(
        benchmark,
        gib=peak,
        limit_gib=imported + weights + moments,
        limit="the libraries, the weights, and a second moment a layer in float64",
        libraries_gib=imported,
        weights_gib=weights,
        moments_gib=moments,
    )
    assert peak < MOST_GIB

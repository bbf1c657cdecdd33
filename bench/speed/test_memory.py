"""Peak memory of a whole measurement of the packaged model, read from the process that made it."""

import os
import subprocess
import sys

import pytest

from ks_core.files import cache_dir

pytestmark = pytest.mark.speed

MOST_GIB = 4.0
"""A laptop with 8 GiB must be able to do it beside a browser."""

MEASURE = """
import resource
from ks_core.experiments.pairs.measure import measure
from ks_core.experiments.request.settings import Settings
measure(Settings(tokens=16_384))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.usefixtures("model", "corpus")  # fetched by them: what is measured is the pass over the text, no download
def test_peak_memory_of_a_measurement(benchmark, tmp_path):
    for kept in ("models", "text"):
        (tmp_path / kept).symlink_to(cache_dir() / kept)
    environment = {**os.environ, "KS_CORE_CACHE": str(tmp_path)}

    def run():
        return subprocess.run(
            [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True, env=environment
        )

    done = benchmark.pedantic(run, rounds=1)
    peak = int(done.stdout.split()[-1]) * 1024 / 2**30  # Linux counts in KiB
    benchmark.extra_info.update(peak_gib=peak)
    assert peak < MOST_GIB

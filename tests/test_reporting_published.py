"""GPT2-small's published numbers as a gate of a run."""

import json
import os
import re
from pathlib import Path

from stand_in import write_stand_ins
from warm import run_module

ROOT = Path(__file__).parent.parent


def test_the_gate_runs_and_fails_on_what_is_not_gpt2_small(tmp_path):
    """As a user starts it: the stand-in passes for GPT2-small, but its numbers are not the published ones.

    That it is skipped on any other model is seen in test_reporting_run.py.
    """
    inputs = write_stand_ins(tmp_path)
    given = {
        **{f"--ks-{name}": path for name, path in inputs.items()},
        **{"--ks-tokens": 3200, "--ks-resamples": 40, "--ks-layers": "0,5,11"},
        **{f"--ks-{name}": tmp_path / name for name in ("results", "baselines")},
    }
    arguments = [
        "-c",
        "pyproject.toml",
        "-m",
        "paper",
        "bench/paper",
        "-k",
        "published",
        "-v",
        "-p",
        "no:cacheprovider",
    ]
    arguments += ["-p", "stand_in", *(f"{name}={value}" for name, value in given.items())]
    path = os.pathsep.join([str(ROOT / "tests"), *filter(None, [os.environ.get("PYTHONPATH")])])  # of the plugin
    environment = {**os.environ, "PYTHONPATH": path, "KS_CORE_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    environment["COLUMNS"] = "100"  # whatever this process is told of its own
    done = run_module("pytest", *arguments, cwd=ROOT, env=environment)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 failed" in done.stdout
    assert re.search(r"published:mean-of-Q does not hold: .*, weakest \d+: measured .*, required", done.stdout)
    assert "numbers that are off 3 of 3 numbers compared" in done.stdout
    found = json.loads((tmp_path / "results" / "gpt2" / "results.json").read_text())["findings"]
    assert len(found) == 16
    assert all(finding["id"].startswith("published:") for finding in found)
    assert all(f" {finding['part']} " in done.stdout for finding in found)

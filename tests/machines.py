"""Run the suite as on other machines: `python tests/machines.py [--fast] [--machine NAME ...] [arguments of pytest]`.

In which order a sum is added up, and so its last digits, goes by the processor's vector instructions and the number of
threads. A test that hangs on the last digit passes on one machine and fails on the next. Fewer instructions can be had
by environment variables, one for each library that chooses its kernels by itself:

    ATEN_CPU_CAPABILITY       torch's own kernels: sums, exp, softmax
    MKL_ENABLE_INSTRUCTIONS   MKL: torch's matrix products and decompositions
    ONEDNN_MAX_CPU_ISA        oneDNN: torch's products in half precision
    OPENBLAS_CORETYPE         OpenBLAS: products and decompositions of NumPy and SciPy
    NPY_DISABLE_CPU_FEATURES  NumPy's own loops; what they are called differs between versions, so NumPy is asked
    OMP_NUM_THREADS           threads of them all

Before a machine's run each library is asked what it runs with: a variable that does nothing is an error.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Level:
    """What a processor can do, and how each library is held to it."""

    capability: str
    """as torch calls it"""
    variables: dict[str, str]
    beyond: tuple[str, ...]
    """how names of instructions above it begin, in NumPy, MKL and oneDNN"""


AVX512 = ("AVX512", "AVX-512", "AVX10", "AMX", "X86_V4")
LEVELS = {
    "default": Level(
        "DEFAULT",
        {
            "ATEN_CPU_CAPABILITY": "default",
            "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "OPENBLAS_CORETYPE": "Nehalem",
        },
        ("AVX", "F16C", "FMA", "X86_V3", *AVX512),
    ),
    "avx2": Level(
        "AVX2",
        {
            "ATEN_CPU_CAPABILITY": "avx2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "OPENBLAS_CORETYPE": "Haswell",
        },
        AVX512,
    ),
}
THREADS = (1, 2)
MACHINES = {f"{level}-{threads}": (level, threads) for level in (*LEVELS, "native") for threads in THREADS}
"""`native` is what the machine at hand can do."""

RISING = ("DEFAULT", "AVX2", "AVX512")
"""torch's names. On others (ARM, POWER) the levels above cannot be had."""

FAST_MACHINES = ("default-1", "avx2-1")
FAST_FILES = (
    "test_audit.py",
    "test_fixtures_models.py",
    "test_measurement_[aegmrvw]*.py",
    "test_measurement_behaviour.py",
    "test_measurement_k[en][yo]*.py",
    "test_models_adapter.py",
    "test_experiments_dose.py",
    "test_experiments_streams.py",
)
"""What computes with models in float32, and the references of three architectures; without training and whole runs, and
without what reads text or only stores numbers that were computed (beginnings, cached, objects, text)."""
FAST_WITHOUT = "not (test_statistics_are_reproduced_exactly and (l3 or l4 or l6)) and not interrupted"
"""As pytest's -k: the references are held against one size of each architecture, and no process is stopped."""

VARIABLES = {"OMP_NUM_THREADS", "NPY_DISABLE_CPU_FEATURES", *(name for of in LEVELS.values() for name in of.variables)}

ASK = """
import json, sys, numpy, scipy.linalg, torch
ones = torch.ones(64, 64)
ones @ ones, torch.relu(ones.to_mkldnn())  # MKL and oneDNN speak when they are first used, OpenBLAS when it is loaded
capability, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
simd = numpy.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
print(json.dumps({"torch": [capability], "threads": [str(threads)], "NumPy": simd}), file=sys.stderr)
"""
SPEAK = {"MKL_VERBOSE": "1", "ONEDNN_VERBOSE": "1", "OPENBLAS_VERBOSE": "2"}
SPOKEN = {
    "MKL": ("MKL_VERBOSE oneMKL", r"\b(?:SSE|AVX|AMX)[-.\w]*"),
    "oneDNN": ("onednn_verbose,v1,info,cpu,isa:", r"\b(?:SSE|AVX|AMX)[-.\w]*"),
    "OpenBLAS": ("Core: ", r"(?<=Core: )\w+"),
}
"""How the line of each begins, and what in it is a name."""


def at_hand() -> dict[str, str]:
    """The environment of the machine at hand, even inside a run as on another."""
    return {name: value for name, value in os.environ.items() if name not in VARIABLES}


def spoken(environment: dict[str, str]) -> dict[str, list[str]]:
    """What each library says that it runs with, and the number of threads, in a process of this environment."""
    run = subprocess.run(
        [sys.executable, "-c", ASK], env=environment | SPEAK, capture_output=True, text=True, check=True
    )
    lines = [*run.stdout.splitlines(), *run.stderr.splitlines()]
    names = {
        library: sorted({name for line in lines if line.startswith(start) for name in re.findall(pattern, line)})
        for library, (start, pattern) in SPOKEN.items()
    }
    (answer,) = (line for line in lines if line.startswith("{"))
    return names | json.loads(answer)


def environment_of(machine: str, native: dict[str, list[str]]) -> dict[str, str]:
    """The environment of a machine, where `native` is what the libraries say without any variable."""
    name, threads = MACHINES[machine]
    environment = at_hand() | {"OMP_NUM_THREADS": str(threads)}
    if name == "native":
        return environment
    level = LEVELS[name]
    features = [feature for feature in native["NumPy"] if feature.startswith(level.beyond)]
    return environment | level.variables | {"NPY_DISABLE_CPU_FEATURES": " ".join(features)}


def disobeying(machine: str, says: dict[str, list[str]]) -> list[str]:
    """Who runs with something else than the machine has."""
    name, threads = MACHINES[machine]
    expected = {"threads": [str(threads)]}
    beyond: tuple[str, ...] = ()
    if name != "native":
        level = LEVELS[name]
        expected |= {"torch": [level.capability], "OpenBLAS": [level.variables["OPENBLAS_CORETYPE"]]}
        beyond = level.beyond
    return [
        *(who for who, names in expected.items() if says[who] != names),
        *(who for who in ("MKL", "oneDNN", "NumPy") if any(said.startswith(beyond) for said in says[who])),
    ]


def left_out(capability: str) -> dict[str, str]:
    """The levels that a processor of this capability (torch's name) has not, or has as `native`; with the reason."""
    reasons = {}
    for name, level in LEVELS.items():
        if capability not in RISING:
            reasons[name] = f"torch has no such level on this processor ({capability})"
        elif level.capability == capability:
            reasons[name] = "it is what this processor has: the same as native"
        elif RISING.index(level.capability) > RISING.index(capability):
            reasons[name] = f"this processor has no more than {capability}"
    return reasons


def run(machine: str, native: dict[str, list[str]], arguments: list[str]) -> str:
    """The suite on a machine; what came out, in a word or two."""
    environment = environment_of(machine, native)
    says = spoken(environment)
    print(f"\n== {machine}:", "; ".join(f"{who} {' '.join(names)}" for who, names in says.items()), flush=True)
    wrong = disobeying(machine, says)
    if wrong:
        return f"FAILED, the variables do nothing to: {', '.join(wrong)}"
    pytest = Path(sys.executable).with_name("pytest")  # not `-m pytest`, which would put this tree before the package
    status = subprocess.run([pytest, "-c", "pyproject.toml", *arguments], env=environment, cwd=ROOT, check=False)
    return f"FAILED, exit status {status.returncode}" if status.returncode else "passed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--fast", action="store_true", help=f"on {' and '.join(FAST_MACHINES)}, what hangs on rounding")
    parser.add_argument("--machine", action="append", choices=MACHINES, help="instead of all; may be given again")
    options, arguments = parser.parse_known_args()
    if options.fast:
        arguments += ["-k", FAST_WITHOUT]
        arguments += sorted(str(path) for pattern in FAST_FILES for path in (ROOT / "tests").glob(pattern))
    native = spoken(at_hand())
    missing = left_out(native["torch"][0])
    came_out = {}
    for machine in options.machine or (FAST_MACHINES if options.fast else MACHINES):
        start, level = time.monotonic(), MACHINES[machine][0]
        came_out[machine] = f"not run: {missing[level]}" if level in missing else run(machine, native, arguments)
        came_out[machine] += f" ({time.monotonic() - start:.0f} s)"
    print("\n" + "\n".join(f"{machine:<10} {outcome}" for machine, outcome in came_out.items()))
    return int(any(outcome.startswith("FAILED") for outcome in came_out.values()))


if __name__ == "__main__":
    sys.exit(main())

"""Runs of `python -m MODULE …` in children of one process that has imported the large libraries.

A process that measures imports torch, transformers, SciPy and Matplotlib: six seconds of a processor, each time the
same. A child of a process that has them is a process like any other, with arguments, folder, environment, outputs and
exit status of its own, and begins where the imports end. Nothing of pytest or of this project is imported before. What
Python takes from the environment as it starts (`PYTHONIOENCODING`, the number of threads) is that of the tests.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

LARGE = (
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "scipy.optimize",
    "scipy.stats",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.gpt_neox.modeling_gpt_neox",
    "transformers.models.llama.modeling_llama",
)
PLUGIN = "anyio"
"""Imported by transformers, and a plugin of pytest, which warns of plugins that were imported before it."""


def run_module(module: str, *arguments: object, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What `python -m module arguments` comes to, in a process of its own that has imported the large libraries."""
    words = [module, *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("stdout", "stderr")]
        request = {"words": words, "cwd": str(cwd), "env": dict(env), "files": [str(file) for file in files]}
        server = _server()
        print(json.dumps(request), file=server.stdin, flush=True)
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(words, status, *(file.read_text(errors="replace") for file in files))


@functools.cache
def _server() -> subprocess.Popen[str]:
    """The process, once for all tests; it ends with this one, when its input does."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    server = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    atexit.register(server.communicate)
    return server


def _in_a_child() -> dict:
    """Serve requests, one at a time; this returns only in the children, each with what it is asked for."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            return json.loads(line)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    sys.exit()


def _become(words: Sequence[str], cwd: str, env: Mapping[str, str], files: Sequence[str]) -> None:
    """Turn this child into `python -m words`."""
    for descriptor, path in enumerate((os.devnull, *files)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:1] = [cwd, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = ["-m", *words[1:]]
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for name in LARGE:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] == PLUGIN]:
        del sys.modules[name]
    gc.freeze()  # or each child's garbage collector goes through all of it again
    _become(**_in_a_child())

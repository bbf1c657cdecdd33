"""The core with nothing but torch, NumPy, SciPy and safetensors, and pytest and hypothesis for the laws.

In the suite the other packages are hidden from each process. `tox -e core` runs this file where they are not installed.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import TOOLS

from ks_core.extras import EXTRAS

NOT_INSTALLED = os.environ.get("KS_CORE_ALONE") == "1"
OF_TORCH = {"jinja2"}
"""An extra's package that torch brings along."""

BEYOND = sorted({name for names in EXTRAS.values() for name in names} - set(EXTRAS["conformance"]) - OF_TORCH)
HIDE = f"""
import importlib.abc, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BEYOND}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
"""
EDITORS = """
import torch
from ks_core.conformance import traits
from ks_core.theory.editing import joint_edit, lifelong_edits
from ks_core.theory.whitening import whiten

@traits(order="sequential")
def edit(weight, keys, values, second_moment):
    return lifelong_edits(weight, keys, values, whiten(second_moment)).edit.apply(weight) if len(keys) else weight

def collect(shards):
    tokens = torch.cat([keys[mask.bool()].double() for shard in shards for keys, mask in shard])
    return tokens.T @ tokens / len(tokens)

def extract(model, tokenizer, prompts, subject_spans, layer):
    raise NotImplementedError
"""
MATHEMATICS = """
import torch
from ks_core.statistics.summaries import summarise
from ks_core.theory.superposition import superposition
from ks_core.theory.whitening import whiten

text, keys = torch.randn(200, 8, dtype=torch.float64), torch.randn(20, 8, dtype=torch.float64)
print(summarise(superposition(whiten(text.T @ text / 200).whiten(keys)).numpy())["kurtosis"])
"""
REFUSED = {
    "import ks_core.models.loading": "models",
    "import ks_core.measurement.moments.second_moments": "models",
    "import ks_core.measurement.values": "models",
    "import ks_core.auditing.predict": "models",
    "import ks_core.experiments.dose.run": "models",
    "import ks_core.experiments.sizes.family": "models",
    "import ks_core.experiments.streams.stream": "models",
    "import ks_core.reporting.figures.pairs": "paper",
    "from ks_core.files import cache_dir; cache_dir()": "models",
    "from ks_core.data.text_files import read_texts; list(read_texts(Path('a.parquet')))": "paper",
    "from ks_core.data.hub import open_hub; open_hub('hub:a/b:c:train', 0)": "hub",
}
"""statement → the extra that its error must name"""


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, in a folder that it can import from."""
    known = {name: value for name, value in os.environ.items() if name != "KS_CORE_CACHE"}
    script = code if NOT_INSTALLED else HIDE + code
    return subprocess.run([sys.executable, "-c", script], cwd=folder, env=known, capture_output=True, text=True)


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "their_editors.py").write_text(EDITORS)
    given = ["-p", "no:cacheprovider", *arguments]
    return python(f"import sys, pytest; sys.path.insert(0, ''); sys.exit(pytest.main({given}))", folder)


def errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.strip()]


@pytest.mark.parametrize("name", BEYOND)
def test_no_package_of_an_extra_can_be_imported(name, tmp_path):
    assert f"No module named '{name}'" in python(f"import {name}", tmp_path).stderr


def test_theory_and_statistics_work_with_the_core_alone(tmp_path):
    done = python(MATHEMATICS, tmp_path)
    assert done.returncode == 0, done.stderr
    float(done.stdout)


@pytest.mark.parametrize(("kind", "function"), [("editor", "edit"), ("collector", "collect")])
def test_laws_are_tried_with_the_core_alone(kind, function, tmp_path):
    option = f"--ks-{kind}=their_editors:{function}"
    done = run_pytest(tmp_path, "--pyargs", "ks_core.conformance.test_laws", option, "--ks-max-examples=3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " failed" not in done.stdout
    assert f"{kind} their_editors:{function}" in done.stdout


def test_laws_of_extractors_say_what_to_install(tmp_path):
    done = run_pytest(tmp_path, "--pyargs", "ks_core.conformance.test_laws", "--ks-extractor=their_editors:extract")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    (line,) = errors(done)
    assert line.startswith("ERROR: a key extractor needs")
    assert line.endswith('pip install "ks_core[models]"')


def test_a_claim_of_the_paper_says_what_to_install(tmp_path):
    (tmp_path / "test_mine.py").write_text("def test_mine(ks_measurement):\n    pass\n")
    done = run_pytest(tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in said
    assert 'pip install "ks_core[' in said


@pytest.mark.parametrize(
    "command",
    [
        "from ks_core.cli import main; sys.exit(main(['audit', 'edits.json']))",
        "from train_families import main; sys.exit(main(['models']))",
        "from measure_families import main; sys.exit(main(['references']))",
    ],
)
def test_a_command_says_what_to_install_in_one_line(command, tmp_path):
    done = python(f"import sys; sys.path.insert(0, {str(TOOLS)!r}); {command}", tmp_path)
    assert done.returncode == 2
    (line,) = errors(done)
    assert line.endswith('pip install "ks_core[models]"')


def test_what_needs_more_names_its_extra(tmp_path):
    code = "from pathlib import Path\nfrom ks_core.errors import KsError\n"
    for statement in REFUSED:
        code += f"try:\n    {statement}\nexcept KsError as error:\n    print(type(error).__name__, error)\n"
    done = python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    for said, (statement, extra) in zip(done.stdout.splitlines(), REFUSED.items(), strict=True):
        assert said.startswith("MissingExtraError "), statement
        assert said.endswith(f'pip install "ks_core[{extra}]"'), statement

"""--dry-run: writes nothing, fetches nothing, and says how much disk the real run then takes."""

import json
import os

import pytest
from checkout import ROOT
from errors import says
from warm import run_module

from ks_core.models.listing import listed
from ks_core.reporting import dry_run
from ks_core.reporting.dry_run import DryRun, Step, measured_speed

SMALL = ("--tokens", 4000, "--resamples", 40, "--parts", "pairs,stream,dose")


def run(folder, *words):
    environment = {**os.environ, "KS_CORE_CACHE": str(folder / "cache"), "PIP_NO_INDEX": "1", "HF_HUB_OFFLINE": "1"}
    return run_module("ks_core.cli", *words, cwd=folder, env=environment)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """What a dry run said before, what a run then wrote, and what a dry run says after it."""
    folder = tmp_path_factory.mktemp("dry")
    text = folder / "text.txt"
    text.write_text("\n\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))))
    words = ["measure", "toy", "--corpus", text, *SMALL]
    said = run(folder, *words, "--dry-run", "--json", "before.json")
    assert (said.returncode, said.stderr) == (0, "")
    assert {path.name for path in folder.iterdir()} == {"text.txt", "before.json"}, "nothing else was written"
    real = run(folder, *words, "--quiet")
    assert real.returncode == 0, real.stderr
    assert run(folder, *words, "--dry-run", "--json", "after.json").returncode == 0
    return folder, said.stdout


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_disk_that_is_foretold_is_what_a_run_takes(measured):
    folder, _ = measured
    before = json.loads((folder / "before.json").read_text())
    assert before["format"] == "ks_core/dry-run/1"
    assert before["cache"] == pytest.approx(size(folder / "cache"), rel=0.1)
    (pairs,) = (folder / "ks-results" / "toy").glob("pairs.safetensors")
    (step,) = (step for step in before["steps"] if step["name"] == "pairs")
    assert pairs.stat().st_size < step["output"]


def test_what_is_cached_already_is_said_and_costs_nothing(measured):
    folder, _ = measured
    before, after = (json.loads((folder / f"{name}.json").read_text()) for name in ("before", "after"))
    states = [{step["name"]: step["cached"] for step in of["steps"]} for of in (before, after)]
    assert (states[0]["moments"], states[1]["moments"]) == (False, True)
    assert after["cache"] < before["cache"] / 2
    assert after["tokens"] < before["tokens"]


def test_the_page_says_what_how_long_and_how_much(measured):
    said = measured[1]
    assert "nothing is done, written or downloaded" in said
    assert "second moments of 2 layers" in said
    assert "time    about " in said
    assert "disk    " in said
    assert max(map(len, said.splitlines())) <= 130


FACTS = [
    {
        "case_id": number,
        "requested_rewrite": {
            "prompt": "{} lies in",
            "relation_id": "P17",
            "subject": city,
            "target_true": {"str": "Japan"},
            "target_new": {"str": "Peru"},
        },
        "paraphrase_prompts": [],
        "neighborhood_prompts": [],
    }
    for number, city in enumerate(("Nara", "Kyoto"))
]

WORDS = {
    "measure": ["toy"],
    "stream": ["--model", "toy", "--edits", 40, "--layer", 1],
    "audit": ["facts.json", "--model", "toy"],
    "edit": ["facts.json", "--model", "toy", "--out", "patch"],
    "moments": ["toy", "--rate", 10_000],
}


@pytest.mark.parametrize("name", WORDS)
def test_a_dry_run_fetches_and_writes_nothing(name, tmp_path):
    """The packaged text is not there, and no index to fetch it from."""
    (tmp_path / "facts.json").write_text(json.dumps(FACTS))
    found = run(tmp_path, name, *WORDS[name], "--dry-run")
    assert (found.returncode, found.stderr) == (0, ""), found.stderr
    assert "time " in found.stdout
    assert "disk " in found.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["facts.json"]


def test_a_dry_run_of_a_model_that_is_not_fetched_counts_the_download(tmp_path):
    found = run(tmp_path, "measure", "--dry-run")
    assert found.returncode == 0
    assert "97.7 MB to download" in found.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["measure", "./no"], {"what": "ks measure: error: ", "got": "no"}),
        (["measure", "toy", "--layers", "7"], {"what": "layer 7 does not exist", "expected": "0 to 1"}),
        (["measure", "toy", "--facts", "no.json"], {"got": "no.json"}),
        (["stream", "--model", "toy", "--layer", "9"], {"what": "layer 9 does not exist"}),
        (["edit", "no.json", "--out", "patch"], {"got": "no.json"}),
        (["edit", "facts.json", "--model", "toy", "--out", "p", "--protect", "no.json"], {"got": "no.json"}),
        (["measure", "toy", "--num-facts", "5000"], {"what": "--num-facts is 5,000", "got": "has 664 facts"}),
        (["measure", "toy", "--num-edits", "665"], {"what": "--num-edits is 665", "got": "has 664 facts"}),
        (["moments", "toy", "--offload-dir", "there"], {"what": "--offload-dir", "expected": "both or none"}),
    ],
)
def test_a_dry_run_refuses_what_the_run_would_refuse(words, parts, tmp_path):
    (tmp_path / "facts.json").write_text(json.dumps(FACTS))
    found = run(tmp_path, *words, "--dry-run")
    assert (found.returncode, found.stdout) == (2, "")
    (line,) = found.stderr.splitlines()
    says(line, **parts)


COMMON = {
    "--dtype": ("float33", "int8", "half"),
    "--device": ("bogus", "cpux", "meta"),
    "--corpus": ("./no.txt", "facts.pdf", "hub:no-split"),
    "--tokens": ("100", "297", "1"),
}
"""Of each option that these commands share, what none can use; the toy's keys have 149 dimensions."""


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("option", COMMON)
def test_a_dry_run_and_the_run_refuse_alike(name, option, tmp_path):
    """Each of the run's own refusals, word for word where a name is at fault; nothing is fetched to find it."""
    (tmp_path / "facts.json").write_text(json.dumps(FACTS))
    (tmp_path / "facts.pdf").write_text("no text")
    (tmp_path / "text.txt").write_text("A text, so that none is fetched.")
    for value in COMMON[option]:
        if (name, option) == ("moments", "--tokens"):  # it collects as much as was asked for, of full rank or not
            continue
        words = [name, *WORDS[name], "--corpus", "text.txt", option, value]
        said = run(tmp_path, *words, "--dry-run")
        assert (said.returncode, said.stdout) == (2, ""), (option, value)
        (line,) = said.stderr.splitlines()
        if option in ("--dtype", "--device"):
            real = run(tmp_path, *words, "--quiet")
            assert real.returncode == 2
            assert name == "moments" or real.stderr.splitlines() == [line]
    assert {path.name for path in tmp_path.iterdir()} <= {"facts.json", "facts.pdf", "text.txt", "cache"}


def test_time_is_operations_over_the_share_of_the_speed_that_is_assumed():
    steps = [Step("a", "first", tokens=1000, cache=5), Step("b", "there", tokens=10**9, cache=7, cached=True)]
    found = DryRun("measure", "m", 2 * 10**6, 10.0**9, [*steps, Step("c", "unknown", seconds=3, output=2, cached=None)])
    assert found.seconds == pytest.approx(2 * 2e6 * 1000 / (dry_run.SHARE * 1e9) + 3)
    assert (found.total("cache"), found.total("output")) == (5, 2)
    assert measured_speed() > 1e7, "slower than any machine that loads a model"


def test_sums_take_the_disk_of_their_layers(tmp_path, monkeypatch):
    from ks_core.reporting.dry_steps import moments_step

    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path))
    (toy,) = listed("toy")
    assert moments_step(toy, 4000, [0]).cache * 2 == moments_step(toy, 4000, None).cache

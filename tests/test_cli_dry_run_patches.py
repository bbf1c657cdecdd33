"""--dry-run of the commands on what was edited: it leaves everything as it is, and refuses what the command refuses."""

import json
import shutil

import pytest
from checkout import ROOT
from errors import says
from test_cli_dry_run import FACTS, run, size

TEXT = ("--corpus", "text.txt", "--tokens", 2000)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with facts, text and an edited toy, whose certificate was measured."""
    folder = tmp_path_factory.mktemp("patches")
    (folder / "facts.json").write_text(json.dumps(FACTS))
    others = [{**fact, "case_id": fact["case_id"] + 10} for fact in FACTS]
    for fact, city in zip(others, ("Oslo", "Bergen"), strict=True):
        fact["requested_rewrite"] = {**fact["requested_rewrite"], "subject": city, "target_true": {"str": "Norway"}}
    (folder / "keep.json").write_text(json.dumps(others))
    (folder / "text.txt").write_text("\n\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))))
    words = ["facts.json", "--model", "toy", "--layer", 1, "--keep", "keep.json", *TEXT, "--out", "patch"]
    made = run(folder, "edit", *words, "--allow-unreached", "--quiet")
    assert made.returncode == 0, made.stderr
    return folder


WORDS = {
    "verify": ["patch"],
    "undo": ["patch", "--case", 0],
    "diff": ["toy", "patch", "--edits", "facts.json", "--keep", "packaged", *TEXT],
}


def content(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", WORDS)
def test_a_dry_run_leaves_everything_as_it_is(name, project):
    before = content(project)
    found = run(project, name, *WORDS[name], "--dry-run")
    assert (found.returncode, found.stderr) == (0, "")
    assert f"ks {name}, toy: nothing is done, written or downloaded" in found.stdout
    assert "time    about " in found.stdout
    assert max(map(len, found.stdout.splitlines())) <= 130
    assert content(project) == before


def foretold(project, *words):
    found = run(project, *words, "--dry-run", "--json", "said.json")
    assert found.returncode == 0, found.stderr
    said = json.loads((project / "said.json").read_text())
    (project / "said.json").unlink()
    return said, {step["name"]: step for step in said["steps"]}


def test_a_verification_reads_again_what_was_certified(project):
    said, steps = foretold(project, "verify", "patch")
    inputs = json.loads((project / "patch" / "certificate-inputs.json").read_text())
    assert steps["measured"]["tokens"] > 2 * sum(map(len, inputs["text"])), "before and after"
    files = json.loads((project / "patch" / "certificate.json").read_text())["files"]
    assert steps["files"]["detail"].startswith(f"{len(files)} files of ")
    assert (said["cache"], said["output"], said["download"]) == (0, 0, 0)


def test_undoing_takes_the_disk_of_the_folder_that_it_replaces_at_most(project):
    said, steps = foretold(project, "undo", "patch", "--case", 0)
    shutil.copytree(project / "patch", project / "undone")
    assert run(project, "undo", "undone", "--case", 0).returncode == 0
    assert said["output"] / 2 < size(project / "undone") <= said["output"]
    shutil.rmtree(project / "undone")
    assert "with 1 edits" in steps["written"]["detail"]
    assert steps["written"]["tokens"] > 0
    _, unmeasured = foretold(project, "undo", "patch", "--case", 0, "--no-certificate")
    assert unmeasured["written"]["tokens"] == 0


def test_a_comparison_takes_what_is_asked_of_it(project):
    _, tensors = foretold(project, "diff", "toy", "patch")
    assert set(tensors) == {"tensors"}, "no facts and no text: neither model is asked"
    _, asked = foretold(project, "diff", "toy", "patch", "--edits", "facts.json")
    assert set(asked) == {"tensors", "answers"}
    _, every = foretold(project, *["diff", *WORDS["diff"]])
    assert set(every) == {"tensors", "moments", "known facts", "answers"}
    assert every["answers"]["tokens"] > asked["answers"]["tokens"]
    assert "at most" in every["moments"]["detail"]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["verify", "nothing"], {"what": "nothing"}),
        (["verify", "patch", "--dtype", "float33"], {"what": "float33"}),
        (["verify", "patch", "--device", "bogus"], {"what": "bogus"}),
        (["undo", "patch", "--case", 99], {"what": "99"}),
        (["undo", "nothing", "--case", 0], {"what": "nothing"}),
        (["undo", "patch", "--case", 0, "--device", "bogus"], {"what": "bogus"}),
        (["diff", "toy", "patch", "--keep", "no.json"], {"what": "no.json"}),
        (["diff", "toy", "patch", "--ridge", "-1"], {"what": "ridge"}),
        (["diff", "toy", "patch", "--dtype", "float33"], {"what": "float33"}),
        (["diff", "toy", "patch", "--fail-over", 1], {"what": "--fail-over", "remedy": "--keep"}),
        (["diff", "toy", "./nothing"], {"what": "nothing"}),
        (["diff", "./nothing", "patch"], {"what": "nothing"}),
    ],
)
def test_a_dry_run_and_the_command_refuse_alike(words, parts, project):
    before = content(project)
    said, real = run(project, *words, "--dry-run"), run(project, *words)
    assert (said.returncode, said.stdout) == (2, "")
    (line,) = said.stderr.splitlines()
    says(line, **parts)
    assert (real.returncode, real.stderr.splitlines()[-1]) == (2, line)
    assert content(project) == before


@pytest.mark.parametrize("name", ["verify", "undo"])
def test_a_dry_run_needs_the_base_that_the_command_needs(name, project):
    for more in ((), ("--dry-run",)):
        found = run(project, name, *WORDS[name], "--model", "./nothing", *more)
        assert (found.returncode, found.stdout) == (2, "")
        says(found.stderr.splitlines()[-1], what="nothing")

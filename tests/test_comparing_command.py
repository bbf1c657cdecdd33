"""`ks diff` as a user starts it: a page, a file, and an exit status."""

import json
import subprocess
import sys

import jsonschema
import pytest
from adapters import lora, write_adapter
from checkout import ROOT
from edited_models import base_of, changed, fine_tuned
from errors import says
from measured import write_facts, write_text

from ks_core.cli import main
from ks_core.comparing.table import _ranges
from ks_core.models.loading import load_model

SCHEMA = json.loads((ROOT / "ks_core" / "comparing" / "diff.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("command")
    base = base_of(folder / "base")
    changed(base, folder / "tuned", fine_tuned)
    write_adapter(folder / "adapter", load_model(base).model, lora("llama", layers_to_transform=[1]))
    records = json.loads(write_facts(folder / "facts.json").read_text())["facts"]
    for name, part in {"edits": records[:2], "keep": records[6:]}.items():
        (folder / f"{name}.json").write_text(json.dumps(part))
    write_text(folder / "text.txt", 700)
    return folder


@pytest.fixture(autouse=True)
def _there(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(folder)


FACTS = ("--edits", "edits.json", "--keep", "keep.json")


def test_a_page_says_most_changed_first_and_how_much_more_there_is(capsys):
    assert main(["diff", "base", "tuned", "--top", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("base -> tuned (llama): ")
    shares = [float(line.split("%")[0].split()[-1]) for line in lines[3:6]]
    assert shares == sorted(shares, reverse=True)
    assert lines[6].startswith("and ")
    assert lines[7].startswith("changed layers: 0-2; outside layers: ")


@pytest.mark.parametrize("edited", ["tuned", "adapter", "base"])
def test_the_file_is_as_its_schema_says(edited, tmp_path, capsys):
    path = tmp_path / "out.json"
    text = ("--corpus", "text.txt", "--tokens", "400")
    assert main(["diff", "base", edited, *FACTS, *text, "--only-layers", "1", "--json", str(path)]) == (
        edited == "tuned"
    )
    content = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(content, SCHEMA)
    said = capsys.readouterr()
    assert [f"ks diff: FAILED: {line}" for line in content["complaints"]] == said.err.splitlines()[
        -len(content["complaints"]) or 99 :
    ]
    assert "log-perplexity" in said.out
    assert len(content["consequences"]["kept"]) == 18
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content | {"tensors": [{}]}, SCHEMA)


@pytest.mark.parametrize(
    ("thresholds", "status"),
    [
        (("--fail-over", "100"), 0),
        (("--fail-over", "0.000001"), 1),
        (("--fail-overtaken", "18"), 0),
        (("--only-layers", "0,1,2"), 1),
        (("--only-layers", "1"), 1),
    ],
)
def test_thresholds_decide_the_exit_status(thresholds, status, capsys):
    assert main(["diff", "base", "tuned", *FACTS, *thresholds]) == status
    assert bool(capsys.readouterr().err.count("ks diff: ")) == bool(status)


def test_bad_input_is_one_line_and_status_two(folder, capsys):
    for arguments, parts in {
        ("--fail-over", "1"): {"what": "--fail-over", "expected": "some", "remedy": "--keep"},
        ("--keep", "none.json"): {"what": "none.json", "expected": "a JSON file"},
        ("--json", "keep.json", "--keep", "keep.json"): {"what": "--json", "got": "--keep", "expected": "another file"},
        ("--device", "tpu"): {"what": "device 'tpu'", "remedy": "'cpu' always can"},
        ("--dtype", "int3"): {"what": "dtype is 'int3'", "expected": "one of float32"},
        ("--only-layers", "1,7"): {"what": "layer 7", "expected": "0 to 2"},
        ("--fail-over", "nan", "--keep", "keep.json"): {
            "what": "fail_over",
            "got": "nan",
            "expected": "nats, 0 or more",
        },
        ("--json", "tuned/config.json"): {"what": "--json", "got": "--edited", "expected": "another file"},
        ("--corpus", "text.txt", "--tokens", "3"): {"what": "3 tokens", "expected": "at least"},
    }.items():
        assert main(["diff", "base", "tuned", *arguments]) == 2
        says(capsys.readouterr().err, **parts)
    before = (folder / "keep.json").read_bytes()
    assert json.loads(before)


def test_checkpoints_are_compared_without_peft_and_adapters_say_that_they_need_it():
    code = (
        "import sys; sys.modules['peft'] = None; from ks_core.cli import main; "
        "print(main(['diff', 'base', 'tuned']), main(['diff', 'base', 'adapter']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 2"
    says(done.stderr.splitlines()[-1], what="an adapter", got="peft", remedy="ks_core[edit]")


def test_layers_are_told_in_runs():
    assert [_ranges(of) for of in ([], [3], [0, 1, 2], [0, 2, 3, 9])] == ["", "3", "0-2", "0, 2-3, 9"]

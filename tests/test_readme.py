"""What the README shows is what the baseline holds, and its examples run."""

import inspect
import json
import math
import re
from pathlib import Path

import pytest
from measured import write_facts, write_text
from tiny_models import save_tiny_checkpoint

import ks_core as ks
from ks_core.formatting import plus_minus

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BASELINE = ROOT / "fixtures" / "baselines" / "smollm2-135m-instruct.json"


def numbers(found):
    """Value and error of a baseline's finding; null stands for NaN."""
    return [math.nan if found[name] is None else found[name] for name in ("value", "error")]


def escaped(text):
    """A cell of a table: a bar would end it."""
    return text.replace("|", r"\|")


def results_table():
    """The table as it must stand in the README, between its two markers."""
    findings = json.loads(BASELINE.read_text(encoding="utf-8"))["findings"]
    rows = [
        f"| {claim} | {escaped(found['quantity'])} | {found['layers']} | {plus_minus(*numbers(found))} "
        f"| {found['threshold']} | {found['reference']} | {found['verdict']} |"
        for claim, found in findings.items()
    ]
    head = [
        "| claim | measured | layers | value ± error | required | reference | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join(head + rows)


def test_readme_results_are_those_of_the_baseline():
    shown = re.search(r"<!-- results.*?-->\n(.*?)\n<!-- /results -->", README, re.DOTALL)
    assert shown is not None
    assert shown.group(1) == results_table()


def test_readme_example_runs(capsys):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code is not None
    exec(code.group(1), {})  # noqa: S102
    # float32 inputs are widened, so what is left is rounding of float64 times the condition number of about 3
    assert float(capsys.readouterr().out) < 1e-12


def test_readme_names_only_files_that_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target


def test_readme_editor_breaks_the_law_that_it_is_shown_to_break():
    """The code of "Test your own editor", against the table below it."""
    from ks_core.conformance import check_editor

    section = README[README.index("## Test your own editor") :]
    code = re.search(r"```py\n(.*?)```", section, re.DOTALL)
    table = re.search(r"```\n(editor their_editors:edit\n.*?)```", section, re.DOTALL)
    assert code is not None
    assert table is not None
    made = {}
    exec(code.group(1), made)  # noqa: S102
    outcomes = {result.law: result.outcome for result in check_editor(made["edit"])}
    shown = dict(line.split()[:2] for line in table.group(1).splitlines()[2:-1] if "…" not in line)
    assert shown.items() <= outcomes.items()
    counted = ", ".join(f"{list(outcomes.values()).count(kind)} {kind}" for kind in ("passed", "failed", "skipped"))
    assert table.group(1).splitlines()[-1].strip() == counted
    assert f"{len(outcomes)} laws" in " ".join(section.split())


SMALL = ks.Settings(num_facts=8, num_edits=4, tokens=1600, resamples=40, batch_tokens=256)

IN_PLACE = {
    '"openai-community/gpt2"': "MODEL",
    '"gpt2"': "MODEL",
    '"smollm2-135m-instruct"': "MODEL",
    'known_facts(model, "counterfact.json")': "known_facts(model, FACTS)",
    'measure(model, "counterfact.json")': "measure(model, FACTS, SMALL, corpus=TEXT)",
    "second_moments(model)": "second_moments(model, SMALL.tokens, corpus=TEXT)",
    "audit(MODEL, edits)": "audit(MODEL, edits, FACTS, moments=ks.second_moments(MODEL, SMALL.tokens, corpus=TEXT))",
}
"""What an example names or takes by default, and what is at hand for it: the lines are run as they are otherwise."""


@pytest.fixture(scope="module")
def at_hand(tmp_path_factory):
    """A tiny model with a layer 5 that is not the last, text, facts and an editor: what `IN_PLACE` puts in."""
    folder = tmp_path_factory.mktemp("at_hand")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        yield {
            "MODEL": str(save_tiny_checkpoint(folder / "model", "gpt2", layers=7)),
            "TEXT": write_text(folder / "text.txt", 300),
            "FACTS": str(write_facts(folder / "facts.json", 48)),
            "SMALL": SMALL,
            "my_edit": block_of(README, "## Test your own editor"),
        }


def block_of(text, heading):
    found = re.search(r"```py\n(.*?)```", text[text.index(heading) :], re.DOTALL)
    assert found is not None
    return found.group(1)


def run_example(code, at_hand):
    """Names that the lines made, run with what is at hand."""
    for shown, there in IN_PLACE.items():
        code = code.replace(shown, there)
    made = dict(at_hand)
    exec(at_hand["my_edit"], editor := {})  # noqa: S102
    made["my_edit"] = editor["edit"]
    exec(code, made)  # noqa: S102
    return made


def front_doors():
    docstring = inspect.getdoc(ks)
    block = docstring[docstring.index("    import ks_core") : docstring.index("Names are loaded")]
    return {"README": block_of(README, "## As a library"), "docstring": inspect.cleandoc(block)}


@pytest.mark.parametrize("place", ["README", "docstring"])
def test_front_door_examples_run(place, at_hand, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the example of saved edits writes
    made = run_example(front_doors()[place], at_hand)
    assert capsys.readouterr().out.strip() == str(made["ks"].judge(made["found"])).strip()
    assert made["p"].shape == (len(made["facts"]),) * 2
    assert len(made["audit"].edits) == 8


def test_audit_example_runs(at_hand, capsys):
    found = run_example(block_of(README, "## What will an edit break?"), at_hand)["found"]
    out = capsys.readouterr().out
    assert "Vladimir Mayakovsky" in out
    assert out.splitlines()[-1].startswith(found.worst(edit=0, count=1)[0].fact.subject)

"""What the README and the pages in docs/ show is what the baseline holds, and their examples run."""

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
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
BASELINE = ROOT / "fixtures" / "baselines" / "smollm2-135m-instruct.json"


def numbers(found):
    """Value and error of a baseline's finding; null stands for NaN."""
    return [math.nan if found[name] is None else found[name] for name in ("value", "error")]


def escaped(text):
    """A cell of a table: a bar would end it."""
    return text.replace("|", r"\|")


def results_table():
    """The table as it must stand in docs/findings.md, between its two markers."""
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


def test_results_are_those_of_the_baseline():
    shown = re.search(r"<!-- results.*?-->\n(.*?)\n<!-- /results -->", PAGES["findings.md"], re.DOTALL)
    assert shown is not None
    assert shown.group(1) == results_table()


def test_readme_can_be_read_at_once():
    assert len(README.splitlines()) < 120


def findings():
    """What the README says that it finds, one text a finding, and what stands beside them."""
    _, _, section = README.partition("\n## What it finds on SmolLM2-135M-Instruct\n")
    section, _, _ = section.partition("\n## ")
    before, *found = re.split(r"^\* ", section, flags=re.MULTILINE)
    found[-1], _, after = found[-1].partition("\n\n")
    return [" ".join(text.split()) for text in found], " ".join(f"{before} {after}".split())


def unfounded(found, pages):
    """The numbers with an error that a finding gives, and none of the pages that it links to shows."""
    linked = " ".join(pages[name] for name in re.findall(r"\]\(docs/([\w.]+)", found))
    return [number for number in re.findall(r"\S+ ± \S+(?: %)?", found) if number.rstrip(".,;)") not in linked]


def test_findings_of_the_readme_stand_on_the_pages_that_they_link_to():
    found, _ = findings()
    assert len(found) == 5
    assert all(" ± " in text and "](docs/" in text for text in found)
    assert [unfounded(text, PAGES) for text in found] == [[]] * 5


def test_planted_fault_another_number_is_found():
    assert unfounded("0.1 ± 0.2 and 3 ± 4 %. [A](docs/a.md#b)", {"a.md": "0.1 ± 0.2, 3 ± 4 %"}) == []
    assert unfounded("0.1 ± 0.3, 3 ± 4. [A](docs/a.md)", {"a.md": "0.1 ± 0.2, 3 ± 4"}) == ["0.1 ± 0.3,"]
    assert unfounded("0.1 ± 0.2 [A](docs/a.md)", {"a.md": "", "b.md": "0.1 ± 0.2"}) == ["0.1 ± 0.2"]


def test_findings_of_the_readme_give_each_row_that_they_name_its_number():
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))["findings"]
    for text in findings()[0]:
        for claim in re.findall(r"`([\w:@-]+)`", text):
            assert plus_minus(*numbers(baseline[claim])) in text, claim


def test_readme_names_all_that_does_not_hold_and_counts_the_rest():
    baseline = json.loads(BASELINE.read_text(encoding="utf-8"))["findings"]
    verdicts = [found["verdict"] for found in baseline.values()]
    hold, undecided, fail = (verdicts.count(verdict) for verdict in ("holds", "undecided", "does not hold"))
    beside = findings()[1]
    counted = f"Of the {len(verdicts)} rows, {hold} hold, {undecided} are undecided and these {fail} **do not hold**: "
    assert counted in beside
    assert f"table of all {len(verdicts)} rows" in beside
    named = re.findall(r"`([\w:@-]+)`", beside[beside.index(counted) :])
    assert sorted(named) == sorted(claim for claim, found in baseline.items() if found["verdict"] == "does not hold")


def test_how_often_an_audit_is_right_is_said_as_its_page_says_it():
    [said] = re.findall(
        r"first ten have (.+?) in layer (\d+), (.+?) in (\d+) and (.+?) in (\d+) ", " ".join(README.split())
    )
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| \d+ \| ([^|]+) \|", PAGES["audit.md"], re.MULTILINE)
    assert [tuple(reversed(row)) for row in rows] == [said[:2], said[2:4], said[4:]]


def test_example_of_the_mathematics_runs(capsys):
    code = re.search(r"```python\n(.*?)```", PAGES["library.md"], re.DOTALL)
    assert code is not None
    exec(code.group(1), {})  # noqa: S102
    # float32 inputs are widened, so what is left is rounding of float64 times the condition number of about 3
    assert float(capsys.readouterr().out) < 1e-12


def test_editor_of_the_page_breaks_the_law_that_it_is_shown_to_break():
    """The code of "Test your own editor", against the table below it."""
    from ks_core.conformance import check_editor

    section = PAGES["conformance.md"]
    section = section[section.index("## Test your own editor") : section.index("## How to run it")]
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
    for text in (section, README, inspect.getdoc(ks)):
        assert f"{len(outcomes)} laws" in " ".join(text.split())


SMALL = ks.Settings(num_facts=8, num_edits=4, tokens=1600, resamples=40, batch_tokens=256)

IN_PLACE = {
    "load_model()": "load_model(MODEL)",
    "known_facts(model)": "known_facts(model, FACTS)",
    "measure(model)": "measure(model, FACTS, SMALL, corpus=TEXT)",
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
            "my_edit": block_of(PAGES["conformance.md"], "## Test your own editor"),
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
    return {
        "README": "\n".join(re.findall(r"```py\n(.*?)```", README, re.DOTALL)),
        "library.md": block_of(PAGES["library.md"], "# As a library"),
        "docstring": inspect.cleandoc(block),
    }


@pytest.mark.parametrize("place", ["README", "library.md", "docstring"])
def test_front_door_examples_run(place, at_hand, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the example of saved edits writes
    made = run_example(front_doors()[place], at_hand)
    assert capsys.readouterr().out.strip() == str(made["ks"].judge(made["found"])).strip()
    assert made["p"].shape == (len(made["facts"]),) * 2
    assert len(made["audit"].edits) == 8


def test_audit_example_runs(at_hand, capsys):
    found = run_example(block_of(PAGES["audit.md"], "# What will an edit break?"), at_hand)["found"]
    out = capsys.readouterr().out
    assert "Vladimir Mayakovsky" in out
    assert out.splitlines()[-1].startswith(found.worst(edit=0, count=1)[0].fact.subject)


def test_edits_that_are_shown_are_read(tmp_path):
    [shown] = re.findall(r"```json\n(.*?)```", PAGES["audit.md"], re.DOTALL)
    (tmp_path / "edits.json").write_text(shown, encoding="utf-8")
    [fact] = ks.load_facts(tmp_path / "edits.json")
    assert (fact.subject, fact.target_true, fact.target_new) == ("Windows XP", "Microsoft", "Google")

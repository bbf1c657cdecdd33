"""What the README shows is what the baseline holds, and its example runs."""

import json
import math
import re
from pathlib import Path

from ks_core.formatting import plus_minus

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BASELINE = ROOT / "fixtures" / "baselines" / "smollm2-135m-instruct.json"


def numbers(found):
    """Value and error of a baseline's finding; null stands for NaN."""
    return [math.nan if found[name] is None else found[name] for name in ("value", "error")]


def results_table():
    """The table as it must stand in the README, between its two markers."""
    findings = json.loads(BASELINE.read_text(encoding="utf-8"))["findings"]
    rows = [
        f"| {claim} | {found['quantity']} | {found['layers']} | {plus_minus(*numbers(found))} "
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

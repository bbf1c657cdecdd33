"""Results of a tiny real model on disk, as a run writes them, for the tests of the page."""

from __future__ import annotations

import json
from pathlib import Path

from measured import write_everything

import ks_core as ks
from ks_core.reporting.pairs_file import PAIRS, write_pairs
from ks_core.reporting.results import RESULTS, write_results


def write_run(folder: Path, *, layers: int = 3, facts: int = 8, parts: tuple[str, ...] = ("stream", "dose")) -> Path:
    """Measure a tiny model on text and facts of its own, judge the claims, write results.json and its matrices."""
    inputs = write_everything(folder, "gpt_neox", layers=layers)
    settings = ks.Settings(num_facts=facts, num_edits=4, tokens=1600, resamples=40)
    found = ks.measure(inputs["model"], inputs["facts"], settings, corpus=inputs["corpus"], parts=parts)
    judgement = ks.judge(found)
    reasons = {name: of for name, of in judgement.items() if isinstance(of, ks.NotApplicable)}
    matrices = write_pairs(folder / PAIRS, found.measured.pairs)
    path = folder / RESULTS
    write_results(path, found.measured, found.findings, reasons, "none: a test", matrices)
    return path


def changed(path: Path, into: Path, change) -> Path:
    """The same results with their content changed, and the matrices beside them."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    into.mkdir(parents=True, exist_ok=True)
    for beside in path.parent.glob("*.safetensors"):
        (into / beside.name).write_bytes(beside.read_bytes())
    target = into / path.name
    target.write_text(json.dumps(content), encoding="utf-8")
    return target

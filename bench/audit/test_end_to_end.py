"""An edit of the packaged model from the audit to a verified file and back, by the commands a user types.

    ks audit, ks edit, peft, ks verify, ks undo, ks verify

each in a process of its own; the time and the largest memory of each are printed. Run with `tox -e audit`.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ks_core.measurement.known import known_facts

pytestmark = pytest.mark.real

EDITS = 20
LAYER = "4"

WITH_PEFT = """
import json, sys
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base = AutoModelForCausalLM.from_pretrained(sys.argv[1])
tokens = AutoTokenizer.from_pretrained(sys.argv[1])
model = PeftModel.from_pretrained(base, sys.argv[2])
said = {}
for line in json.loads(sys.argv[3]):
    ids = tokens(line, return_tensors="pt")
    def answer():
        out = model.generate(**ids, max_new_tokens=4, do_sample=False, pad_token_id=0)
        return tokens.decode(out[0, ids["input_ids"].shape[1]:])
    after = answer()
    with model.disable_adapter():
        said[line] = [answer(), after]
print(json.dumps(said))
"""


def timed(name, *words):
    """What a command prints, with its time and the largest memory of its process."""
    program = "import resource, runpy, sys\nsys.argv = sys.argv[1:]\ntry:\n    {}\nfinally:\n    {}".format(
        "runpy.run_module(sys.argv[0], run_name='__main__')" if name != "peft" else "exec(sys.argv.pop(1))",
        "print('MEMORY', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)",
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True)
    seconds = time.perf_counter() - start
    assert done.returncode == 0, done.stderr[-2000:]
    memory = int(done.stderr.rsplit("MEMORY", 1)[1]) / 1e6  # kilobytes on Linux
    return done.stdout, f"{name:<24} {seconds:6.1f} s  {memory:5.2f} GB"


def test_twenty_edits_become_a_verified_adapter_and_one_is_taken_back(model, tmp_path, capsys):
    facts = known_facts(model).facts
    chosen = [facts[place] for place in np.random.default_rng(3).permutation(len(facts))[:EDITS].tolist()]
    edits = tmp_path / "edits.json"
    edits.write_text(json.dumps([_record(fact) for fact in chosen]))
    out, ks = tmp_path / "out", "ks_core.cli"
    said, times = {}, []
    for name, words in {
        "ks audit": ("audit", edits, "--layer", LAYER),
        "ks edit": ("edit", edits, "--layer", LAYER, "--out", out),
        "ks verify": ("verify", out),
    }.items():
        said[name], line = timed(name, ks, *words)
        times.append(line)
    before = _certified(out)
    source = json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"]
    prompts = [fact.text for fact in chosen[:5]]
    answers, line = timed("peft", "peft", WITH_PEFT, source, out, json.dumps(prompts))
    times.append(line)
    for name, words in {
        "ks undo": ("undo", out, "--case", chosen[0].case_id),
        "ks verify, after undo": ("verify", out),
    }.items():
        said[name], line = timed(name, ks, *words)
        times.append(line)
    with capsys.disabled():
        print(f"\n{EDITS} edits in layer {LAYER}; adapter {_size(out / 'adapter_model.safetensors'):.2f} MB\n")
        print("\n".join(times), "\n")
        for prompt, (unedited, now) in json.loads(answers.splitlines()[-1]).items():
            print(f"{prompt!r}: {unedited!r} -> {now!r}")
        for name in said:
            print(f"\n$ {name}\n{said[name]}")
    after = _certified(out)
    assert before["efficacy_after"]["value"] > 0.9
    assert (before["efficacy_after"]["n"], after["efficacy_after"]["n"]) == (EDITS, EDITS - 1)
    changed = [now for unedited, now in json.loads(answers.splitlines()[-1]).values() if now != unedited]
    assert len(changed) >= 4, "plain PEFT has the edits, and the base without it"


def _certified(folder: Path):
    return json.loads((folder / "certificate.json").read_text())["measured"]["means"]


def _record(fact):
    return {
        "case_id": fact.case_id,
        "requested_rewrite": {
            "prompt": fact.prompt,
            "subject": fact.subject,
            "relation_id": fact.relation_id,
            "target_true": {"str": fact.target_true},
            "target_new": {"str": fact.target_new},
        },
        "paraphrase_prompts": list(fact.paraphrase_prompts),
        "neighborhood_prompts": list(fact.neighborhood_prompts),
    }


def _size(path: Path) -> float:
    return path.stat().st_size / 1e6

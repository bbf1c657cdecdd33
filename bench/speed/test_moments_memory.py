"""Peak memory of collecting second moments, against its plan, with and without a budget."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from limits import note_memory
from transformers import LlamaConfig, LlamaForCausalLM

from ks_core.files import cache_dir
from ks_core.models.tiny import byte_level_tokenizer

pytestmark = pytest.mark.speed

AGREES = 0.15
"""Share of the peak by which a plan may be off."""

GIB = 2**30

COLLECT = """
import json, sys
from ks_core.data.corpus import load_corpus
from ks_core.measurement.moments import collecting
from ks_core.measurement.moments.resident import peak_bytes
from ks_core.models.loading import load_model
plans, real = [], collecting.plan_of_model
def plan(*arguments, **settings):
    plans.append(real(*arguments, **settings))
    return plans[-1]
collecting.plan_of_model = plan
name, tokens, memory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) or None
collecting.collect_second_moments(load_model(name), load_corpus(), tokens=tokens, memory=memory)
[plan] = plans
print(json.dumps({"peak": peak_bytes(), "planned": dict(plan.device), "passes": [len(of) for of in plan.passes]}))
"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Six layers whose sums are most of the memory: 84 MB each, of a model of 82 MB."""
    folder = tmp_path_factory.mktemp("wide")
    config = LlamaConfig(
        hidden_size=256,
        intermediate_size=4096,
        num_hidden_layers=6,
        num_attention_heads=4,
        vocab_size=512,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    byte_level_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.mark.usefixtures("model", "corpus")  # fetched by them
@pytest.mark.parametrize(
    ("which", "tokens", "memory"),
    [("packaged", 4096, 0), ("packaged", 4096, 1_350_000_000), ("wide", 8192, 0), ("wide", 8192, 1_050_000_000)],
    ids=["packaged", "packaged in 1.35 GB", "wide", "wide in 1.05 GB"],
)
def test_a_plan_is_within_15_percent_of_the_peak_and_a_budget_is_kept(benchmark, wide, tmp_path, which, tokens, memory):
    for kept in ("models", "text"):
        Path(tmp_path, kept).symlink_to(cache_dir() / kept)
    name = wide if which == "wide" else "smollm2-135m-instruct"
    command = [sys.executable, "-c", COLLECT, name, str(tokens), str(memory)]
    environment = {**os.environ, "KS_CORE_CACHE": str(tmp_path)}
    run = {"capture_output": True, "text": True, "check": True, "env": environment}
    done = benchmark.pedantic(subprocess.run, (command,), run, rounds=1)
    found = json.loads(done.stdout.splitlines()[-1])
    planned = sum(found["planned"].values())
    note_memory(
        benchmark,
        gib=found["peak"] / GIB,
        limit_gib=planned / GIB,
        limit="its plan: " + ", ".join(f"{part} {size / GIB:.3f} GiB" for part, size in found["planned"].items()),
        passes=found["passes"],
        budget_gib=memory / GIB,
    )
    assert abs(planned / found["peak"] - 1) <= AGREES
    if memory:
        assert len(found["passes"]) > 1
        assert found["peak"] <= memory

"""The packaged model and text, for benchmarks; each benchmark runs once, on real sizes, and reports ratios."""

import pytest
import torch
from summary import table

from ks_core.data.corpus import load_corpus
from ks_core.measurement.moments.text import Piece, batches, take_tokens
from ks_core.models.loading import load_model

TOKENS = 65_536
BATCH_TOKENS = 2048


@pytest.fixture(scope="session")
def model():
    return load_model()


@pytest.fixture(scope="session")
def corpus():
    return load_corpus()


@pytest.fixture(scope="session")
def text_batches(model, corpus):
    """65,536 tokens of real text in batches of bounded size."""
    texts = take_tokens(corpus.texts(), model.tokenizer, TOKENS, 1024)
    return list(batches([Piece(ids, start=0) for ids in texts], BATCH_TOKENS))


NOTED = pytest.StashKey[list]()
"""Of the run: each benchmark's name and what it stored, for the table at the end."""


@pytest.fixture(autouse=True)
def _note_machine(benchmark, request):
    benchmark.extra_info["threads"] = torch.get_num_threads()
    request.config.stash.setdefault(NOTED, []).append((benchmark.name, benchmark.extra_info))


def pytest_terminal_summary(terminalreporter, config):
    noted = config.stash.get(NOTED, [])
    if any("ratio_to_limit" in info for _, info in noted):
        terminalreporter.section("ratios: less is better")
        for line in table(noted):
            terminalreporter.write_line(line)

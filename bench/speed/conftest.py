"""The packaged model and text, for benchmarks; each benchmark runs once, on real sizes, and reports ratios."""

import pytest
import torch

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


@pytest.fixture(autouse=True)
def _note_machine(benchmark):
    benchmark.extra_info["threads"] = torch.get_num_threads()

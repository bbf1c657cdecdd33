"""Log-probabilities at the places that are read, against those of all places."""

import pytest
import torch
from tiny_models import tiny_model

from ks_core.measurement import places
from ks_core.measurement.places import log_probabilities_at, mean_losses
from ks_core.models.adapter import Adapter

# Float32 logits of order 10, and a sum of 512 terms of which few count.
ATOL = 8 * 10 * torch.finfo(torch.float32).eps


@pytest.fixture(scope="module", params=["gpt2", "llama", "gemma2", "cohere"])
def adapter(request):
    return Adapter(tiny_model(request.param))


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(5)
    mask = (torch.arange(9) < torch.tensor([9, 4, 2, 7])[:, None]).long()
    return torch.randint(3, 500, (4, 9), generator=generator), mask


def everywhere(adapter, ids, mask):
    with torch.no_grad():
        return torch.log_softmax(adapter.logits(ids, mask).double(), dim=-1)


@pytest.mark.parametrize("at_once", [1, 512, 3 * 512, 1 << 26])
def test_they_are_those_of_all_places_however_many_are_made_at_once(adapter, batch, monkeypatch, at_once):
    monkeypatch.setattr(places, "LOGITS_AT_ONCE", at_once)
    rows, columns = torch.tensor([3, 0, 0, 3, 2, 1, 0]), torch.tensor([6, 8, 2, 6, 0, 3, 2])
    tokens = torch.tensor([7, 7, 11, 500, 3, 4, 11])
    found = log_probabilities_at(adapter, *batch, rows, columns, tokens)
    expected = everywhere(adapter, *batch)[rows, columns, tokens]
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=ATOL)
    assert found[2] == found[6], "one place, asked twice"


def test_no_more_logits_are_made_than_are_read(adapter, batch, monkeypatch):
    made = []
    head = Adapter.head
    monkeypatch.setattr(Adapter, "head", lambda self, hidden: made.append(len(hidden)) or head(self, hidden))
    monkeypatch.setattr(places, "LOGITS_AT_ONCE", 2 * 512)
    rows, columns = torch.tensor([0, 0, 1, 2, 3, 3]), torch.tensor([1, 1, 1, 1, 5, 6])
    log_probabilities_at(adapter, *batch, rows, columns, torch.full((6,), 9))
    assert made == [2, 2, 1], "five places, two at once"


def test_losses_of_texts_are_means_over_their_own_tokens(adapter, batch):
    ids, mask = batch
    logs = everywhere(adapter, ids, mask)
    for row, found in enumerate(mean_losses(adapter, ids, mask).tolist()):
        length = int(mask[row].sum())
        own = [float(logs[row, place, ids[row, place + 1]]) for place in range(length - 1)]
        assert found == pytest.approx(-sum(own) / len(own), abs=ATOL)


def test_planted_fault_a_place_beside_is_caught(adapter, batch):
    rows, columns, tokens = torch.tensor([0, 3]), torch.tensor([2, 5]), torch.tensor([7, 8])
    faulty = log_probabilities_at(adapter, *batch, rows, columns - 1, tokens)
    assert not torch.allclose(faulty.double(), everywhere(adapter, *batch)[rows, columns, tokens], atol=0.01)

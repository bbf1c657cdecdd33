"""On a GPU the numbers are those of the CPU, to the rounding of float32; where there is none, nothing of it was run."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from checkout import MODELS
from reference_statistics import statements_corpus

from ks_core.auditing.predict import audit
from ks_core.data.facts import packaged_facts
from ks_core.errors import RankDeficientError
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.known import ask
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.models.editing import edited
from ks_core.models.fingerprint import weights_sha256
from ks_core.models.loading import load_model
from ks_core.theory.superposition import cosines, superposition
from ks_core.theory.whitening import whiten

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="not run: no CUDA device here")

RTOL = 1e-5
"""float32 forward passes of three layers, summed in another order; 1e-6 was seen on an H100."""


@pytest.fixture(scope="module", params=["ks-gpt2-l3", "ks-neox-l3", "ks-llama-l3"])
def both(request):
    return tuple(load_model(MODELS / request.param, device=device) for device in ("cpu", "cuda"))


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return float((one - other).abs().max()) <= RTOL * float(one.abs().max())


def test_cuda_has_the_weights_keys_and_known_facts_of_the_cpu(both):
    cpu, cuda = both
    facts = packaged_facts()
    assert cuda.weights_sha256 == cpu.weights_sha256
    keys, others = (subject_keys(model, facts.facts[:64]) for model in both)
    assert all(close(keys[layer], others[layer]) for layer in keys)
    known, also = (set(ask(model, facts).case_ids) for model in both)
    assert len(known ^ also) <= 2, "two objects may be equally probable to rounding"


def test_cuda_has_the_second_moments_of_the_cpu_and_resumes_them(both, tmp_path):
    cpu, cuda = (
        collect_second_moments(model, statements_corpus(), tokens=8192, folder=tmp_path / device)
        for model, device in zip(both, ("cpu", "cuda"), strict=True)
    )
    for layer in cpu.layers:
        assert close(cpu.at(layer).matrix, cuda.at(layer).matrix)
    before = cuda.at(1).matrix
    cuda.file(1, 8192).unlink()
    again = collect_second_moments(both[1], statements_corpus(), tokens=8192, folder=tmp_path / "cuda")
    torch.testing.assert_close(again.at(1).matrix, before, rtol=1e-6, atol=1e-6 * float(before.abs().max()))


def test_edits_on_cuda_are_undone_bit_for_bit(both):
    _, cuda = both
    before = weights_sha256(cuda.model)
    with edited(cuda.adapter, 1, torch.full((cuda.adapter.d_value, cuda.adapter.d_key), 0.5)):
        assert weights_sha256(cuda.model) != before
    assert weights_sha256(cuda.model) == before


def test_an_audit_on_cuda_is_that_of_the_cpu(both, tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path))
    facts = packaged_facts().facts
    corpus = tmp_path / "text.jsonl"
    corpus.write_text("".join(f'{{"text": "{text}"}}\n' for text in statements_corpus().texts()), encoding="utf-8")
    cpu, cuda = (audit(model, facts[:2], facts[20:60], layer=1, corpus=corpus, tokens=4096) for model in both)
    # keys off by 1e-6, whitened with a condition number of 1e4 to 1e5, whose root they may grow by: 6e-7 was seen
    np.testing.assert_allclose(cuda.shares, cpu.shares, rtol=1e-3, atol=1e-4)
    # times residuals from 25 steps of Adam, each of which rounds: 3e-6 was seen
    np.testing.assert_allclose(cuda.losses, cpu.losses, rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(cuda.together.losses, cpu.together.losses, rtol=1e-2, atol=1e-3)


def test_whitening_and_superposition_stay_on_cuda_and_are_those_of_the_cpu():
    """No second moment goes to the host: at d_key 14,336 it has 1.6 GB."""
    rows = torch.randn(2048, 512, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moment, keys = rows.T @ rows / len(rows), rows[:64]
    cpu, cuda = whiten(moment), whiten(moment.cuda())
    assert cuda.factor.is_cuda
    # the condition number is 9; sums of 512 products in another order
    assert cuda.condition_number == pytest.approx(cpu.condition_number, rel=1e-10)
    for given in (keys, keys.cuda()):
        whitened = cuda.whiten(given)
        shares = superposition(whitened)
        assert whitened.is_cuda
        assert shares.is_cuda
        torch.testing.assert_close(shares.cpu(), superposition(cpu.whiten(keys)), rtol=0, atol=1e-11)
        torch.testing.assert_close(cosines(whitened).cpu(), cosines(cpu.whiten(keys)), rtol=0, atol=1e-11)
    first = moment.new_zeros(512)
    first[0] = 1
    twins = torch.eye(512, dtype=torch.float64) + torch.outer(first.roll(1), first) + torch.outer(first, first.roll(1))
    with pytest.raises(RankDeficientError, match="numerical rank 511"):  # the first two neurons always fire alike
        whiten(twins.cuda())

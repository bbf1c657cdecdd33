"""Second moments of all layers from one pass: right, resumable, and refused when they belong to something else."""

import pytest
import torch
from checkout import MODELS
from measured import passes_of, write_text
from reference_statistics import statements_corpus
from tiny_models import save_tiny_checkpoint

from ks_core.data.corpus import load_corpus
from ks_core.errors import InputError, RankDeficientError
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.measurement.moments.second_moments import moment_provenance, moments_folder
from ks_core.measurement.moments.text import Piece, segments, take_tokens
from ks_core.models.loading import load_model

TOKENS = 256
# float32 products of up to TOKENS terms; the tiny models' keys are of order 1 to 10
RTOL = TOKENS * 2**-24


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("moments")


@pytest.fixture(scope="module", params=["llama", "gpt2", "opt"])
def model(request, folder):
    return load_model(save_tiny_checkpoint(folder / request.param, request.param))


@pytest.fixture(scope="module")
def corpus(folder):
    return load_corpus(str(write_text(folder / "text.txt")))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))


def naive_moment(model, texts, layer):
    """One text at a time, without padding, hooks of torch and float64 throughout."""
    total, count = 0.0, 0
    for ids in texts:
        seen = []
        hook = model.adapter.projection(layer).register_forward_pre_hook(
            lambda _, args, seen=seen: seen.append(args[0])
        )
        with torch.no_grad():
            model.model(torch.from_numpy(ids).long()[None], use_cache=False)
        hook.remove()
        keys = seen[0].reshape(-1, model.adapter.d_key).double()
        assert len(keys) == len(ids)
        total, count = total + keys.T @ keys, count + len(keys)
    return total / count


def test_moments_of_all_layers_equal_one_text_at_a_time(model, corpus):
    moments = collect_second_moments(model, corpus, tokens=TOKENS, batch_tokens=64)
    for count in moments.counts:
        texts = take_tokens(corpus.texts(), model.tokenizer, count, 64)
        for layer in range(model.adapter.num_layers):
            expected = naive_moment(model, texts, layer)
            found = moments.at(layer, count).matrix
            torch.testing.assert_close(found, expected, rtol=RTOL, atol=RTOL * float(expected.diagonal().max()))


@pytest.mark.parametrize("name", ["ks-gpt2-l3", "ks-neox-l3", "ks-llama-l3"])
def test_moments_of_trained_models_equal_an_independent_pass_without_checkpoints(name, tmp_path):
    trained, tokens = load_model(MODELS / name), 2048
    corpus = statements_corpus()
    moments = collect_second_moments(trained, corpus, tokens=tokens, folder=tmp_path)
    texts = take_tokens(corpus.texts(), trained.tokenizer, tokens, 1024)
    layer = trained.adapter.num_layers - 1
    expected = naive_moment(trained, texts, layer)
    found = moments.at(layer).matrix
    assert float((found - expected).abs().max()) < 1e-6 * float(expected.abs().max())


def test_planted_fault_a_text_that_loses_its_context_at_a_checkpoint_is_caught(model, corpus, monkeypatch):
    def torn(texts, boundaries):
        for segment in segments(texts, boundaries):
            yield [Piece(piece.ids[piece.start :], 0) for piece in segment]

    monkeypatch.setattr("ks_core.measurement.moments.passes.segments", torn)
    moments = collect_second_moments(model, corpus, tokens=TOKENS, batch_tokens=64)
    expected = naive_moment(model, take_tokens(corpus.texts(), model.tokenizer, TOKENS, 64), 1)
    assert not torch.allclose(moments.at(1).matrix, expected, rtol=RTOL, atol=RTOL * float(expected.diagonal().max()))


def test_planted_fault_padding_counted_as_text_is_caught(model, corpus, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "bool", lambda mask: torch.ones_like(mask, dtype=torch.bool))
    moments = collect_second_moments(model, corpus, tokens=TOKENS, batch_tokens=64)
    monkeypatch.undo()
    texts = take_tokens(corpus.texts(), model.tokenizer, TOKENS // 8, 64)
    expected = naive_moment(model, texts, 0)
    found = moments.at(0, TOKENS // 8).matrix
    assert not torch.allclose(found, expected, rtol=RTOL, atol=RTOL * float(expected.diagonal().max()))


@pytest.mark.parametrize("batch_tokens", [16, 1000])
def test_moments_do_not_depend_on_the_batch_size(model, corpus, batch_tokens, tmp_path):
    small, large = (
        collect_second_moments(model, corpus, tokens=TOKENS, batch_tokens=size, folder=tmp_path / str(size))
        for size in (batch_tokens, 100)
    )
    assert small.provenance == large.provenance
    for layer in range(model.adapter.num_layers):
        one, other = small.at(layer).matrix, large.at(layer).matrix
        torch.testing.assert_close(one, other, rtol=RTOL, atol=RTOL * float(one.diagonal().max()))


def test_the_text_is_read_once_for_all_layers_and_not_again_from_the_cache(model, corpus):
    def collect(layers=None):
        return collect_second_moments(model, corpus, tokens=TOKENS, batch_tokens=64, layers=layers)

    with_all, first = passes_of(model, collect)
    again, second = passes_of(model, collect)
    only, third = passes_of(model, lambda: collect([1]))
    assert first > 0
    assert (second, third) == (0, 0), "one layer is among all that are cached"
    assert (only.folder, only.layers) == (with_all.folder, (1,))
    assert torch.equal(with_all.at(1).matrix, again.at(1).matrix)


def test_one_layer_alone_is_that_of_all_layers(model, corpus, tmp_path):
    every, only = (
        collect_second_moments(model, corpus, tokens=TOKENS, layers=layers, folder=tmp_path / str(layers))
        for layers in (None, [1])
    )
    assert only.layers == (1,)
    assert torch.equal(only.at(1).matrix, every.at(1).matrix)


def test_halves_add_up_to_the_whole(model, corpus):
    moments = collect_second_moments(model, corpus, tokens=TOKENS)
    first, second = moments.halves(1)
    whole = moments.at(1)
    assert first.count + second.count == whole.count == TOKENS
    together = (first.matrix * first.count + second.matrix * second.count) / TOKENS
    torch.testing.assert_close(together, whole.matrix, rtol=1e-12, atol=1e-12 * float(whole.matrix.abs().max()))


def test_too_few_tokens_for_two_halves_of_full_rank_are_refused(model, corpus):
    with pytest.raises(RankDeficientError, match=r"d_key = 12.*at least 24 tokens"):
        collect_second_moments(model, corpus, tokens=23)


def test_too_little_text_leaves_nothing_behind(model, corpus):
    with pytest.raises(InputError, match="ask for fewer tokens"):
        collect_second_moments(model, corpus, tokens=10**6)
    assert not moments_folder(moment_provenance(model, corpus, 10**6)).exists()


def test_infinite_weights_are_named_by_layer(model, corpus):
    weight = model.adapter.weight(0)
    before = weight.clone()
    weight.fill_(float("inf"))
    try:
        with pytest.raises(InputError, match=r"keys of layer 1 are NaN or infinite"):
            collect_second_moments(model, corpus, tokens=TOKENS)
    finally:
        weight.copy_(before)

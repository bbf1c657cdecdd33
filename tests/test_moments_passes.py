"""Passes over the text: as many as memory asks for, going on where less text ended, and where memory ran out."""

import shutil
import warnings
from dataclasses import replace

import pytest
import torch
from checkout import MODELS
from errors import refused
from measured import passes_of
from reference_statistics import statements_corpus

from ks_core.errors import InputError, OutOfMemoryError, StorageError
from ks_core.measurement.moments import collecting, passes
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.measurement.moments.passes import Pass, checkpoints, next_pass
from ks_core.measurement.moments.placing import Placing
from ks_core.measurement.moments.store import sum_path
from ks_core.measurement.moments.text import Piece, chunks
from ks_core.models.loading import load_model

TOKENS = 8192
ROUNDING = 1e-5
"""Of √(C_ii C_jj): float32 products of batches of other sizes, √2048 · 2⁻²⁴ = 3e-6 typically, and the forward pass's
own float32 in batches of other sizes."""


@pytest.fixture(scope="module")
def model():
    return load_model(MODELS / "ks-llama-l3")


@pytest.fixture(scope="module")
def straight(model, tmp_path_factory):
    return collect_second_moments(model, statements_corpus(), tokens=TOKENS, folder=tmp_path_factory.mktemp("straight"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))


def furthest(found, expected):
    """The largest difference over layers and counts, in units of √(C_ii C_jj)."""
    off = 0.0
    for layer in expected.layers:
        for count in expected.counts:
            one, other = found.at(layer, count).matrix, expected.at(layer, count).matrix
            scale = other.diagonal().clamp(min=1e-300).sqrt()
            off = max(off, float(((one - other).abs() / scale[:, None] / scale).max()))
    return off


def placed(monkeypatch, placing):
    """Let every plan hold sums so."""
    real = collecting.plan_of_model

    def plan(*arguments, **settings):
        return replace(real(*arguments, **settings), placing=placing)

    monkeypatch.setattr(collecting, "plan_of_model", plan)


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_fewer_layers_at_once_are_more_passes_with_the_same_bits(model, straight, tmp_path, monkeypatch, at_once):
    placed(monkeypatch, Placing(at_once))
    found = collect_second_moments(model, statements_corpus(), tokens=TOKENS, folder=tmp_path)
    for layer in straight.layers:
        assert torch.equal(found.at(layer).matrix, straight.at(layer).matrix)


@pytest.mark.parametrize("mapped", [False, True])
def test_short_sums_are_within_their_bound_of_float64_ones(model, straight, tmp_path, monkeypatch, mapped):
    placed(monkeypatch, Placing(2, short=True, mapped=mapped))
    found = collect_second_moments(model, statements_corpus(), tokens=TOKENS, batch_tokens=256, folder=tmp_path)
    assert 0 < furthest(found, straight) < ROUNDING


def test_a_budget_of_memory_is_kept_by_passes(model, straight, tmp_path, monkeypatch):
    monkeypatch.setattr("ks_core.measurement.moments.planning.resident_bytes", lambda: 0)
    need = collecting.plan_of_model(model, TOKENS, straight.layers, batch_tokens=2048, longest=255)
    two_layers = sum(need.device.values()) - need.device["sums"] // len(straight.layers) * (len(straight.layers) - 2)
    of_layers = []
    real = passes.read
    monkeypatch.setattr(collecting, "read", lambda reading, of: (of_layers.append(of.layers), real(reading, of)))
    found = collect_second_moments(model, statements_corpus(), tokens=TOKENS, folder=tmp_path, memory=two_layers)
    assert {len(layers) for layers in of_layers} <= {1, 2}
    assert sorted(layer for layers in of_layers for layer in layers) == list(straight.layers)
    assert torch.equal(found.at(1).matrix, straight.at(1).matrix)
    with refused(InputError, what="too little for one layer", remedy="smaller batches"):
        collect_second_moments(model, statements_corpus(), tokens=TOKENS, folder=tmp_path / "no", memory=1000)


def test_twice_the_text_goes_on_where_the_first_half_ended(model, straight, tmp_path):
    half = collect_second_moments(model, statements_corpus(), tokens=TOKENS // 2, folder=tmp_path)
    first = half.at(1).matrix
    whole, with_half = passes_of(
        model, lambda: collect_second_moments(model, statements_corpus(), tokens=TOKENS, folder=tmp_path)
    )
    _, alone = passes_of(
        model, lambda: collect_second_moments(model, statements_corpus(), tokens=TOKENS, folder=tmp_path / "alone")
    )
    assert with_half < 0.75 * alone
    assert torch.equal(whole.at(1, TOKENS // 2).matrix, first)
    assert furthest(whole, straight) < ROUNDING
    assert half.texts < whole.texts == straight.texts


def test_other_layers_and_half_the_text_come_from_what_is_there(model, straight):
    def again(**asked):
        return collect_second_moments(model, statements_corpus(), folder=straight.folder, **asked)

    found, read = passes_of(model, lambda: again(tokens=TOKENS, layers=[1]))
    assert (found.layers, read) == ((1,), 0)
    # the half's own halves are there, its eighth is not: read to there and no further
    half, read = passes_of(model, lambda: again(tokens=TOKENS // 2))
    _, of_all = passes_of(model, lambda: again(tokens=TOKENS, layers=None))
    assert of_all == 0
    assert 0 < read <= 2, "a sixteenth of the text"
    assert torch.equal(half.at(0).matrix, straight.at(0, TOKENS // 2).matrix)


def test_a_pass_ends_at_its_last_layer(model, tmp_path):
    ran = []
    hooks = [
        model.adapter.block(layer).register_forward_pre_hook(lambda *_, layer=layer: ran.append(layer))
        for layer in range(model.adapter.num_layers)
    ]
    collect_second_moments(model, statements_corpus(), tokens=2048, layers=[1], folder=tmp_path)
    for hook in hooks:
        hook.remove()
    assert set(ran) == {0, 1}


def running_out(model, at):
    """Let the forward passes of these numbers end as torch ends them where a GPU has no memory left."""
    count = []

    def fail(*_):
        count.append(1)
        if len(count) in at:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ...")

    return model.adapter.block(1).register_forward_pre_hook(fail)


def test_where_memory_runs_out_batches_are_halved_once_and_no_key_counts_twice(model, straight, tmp_path):
    hook = running_out(model, {3})
    with pytest.warns(UserWarning, match=r"memory ran out: CUDA out of memory.*batches of 1,024 tokens"):
        found = collect_second_moments(model, statements_corpus(), tokens=TOKENS, folder=tmp_path)
    hook.remove()
    assert 0 < furthest(found, straight) < ROUNDING


def test_where_memory_runs_out_again_the_plan_is_told(model, tmp_path):
    hook = running_out(model, {3, 9})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with refused(OutOfMemoryError, what="memory ran out", expected="sums", remedy="batch_tokens"):
            collect_second_moments(model, statements_corpus(), tokens=TOKENS, folder=tmp_path)
    hook.remove()


def test_the_cpus_lack_of_memory_is_told_apart_from_other_errors(model, tmp_path):
    def fail(*_):
        raise RuntimeError("shape '[2]' is invalid for input of size 3")

    hook = model.adapter.block(1).register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="shape"):
        collect_second_moments(model, statements_corpus(), tokens=TOKENS, folder=tmp_path)
    hook.remove()
    error = RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried")
    assert isinstance(passes._out_of_memory(error), OutOfMemoryError)


def test_a_full_disk_midway_leaves_the_last_checkpoint_to_go_on_from(model, straight, tmp_path, monkeypatch):
    saved = []

    def full(path, *arguments):
        saved.append(path)
        if len(saved) > 4 * len(straight.layers):
            raise StorageError(f"{path} cannot be written (No space left on device)")
        return real(path, *arguments)

    real = passes.save_sum
    monkeypatch.setattr(passes, "save_sum", full)
    with pytest.raises(StorageError, match="No space left"):
        collect_second_moments(model, statements_corpus(), tokens=TOKENS, folder=tmp_path)
    monkeypatch.undo()
    found = collect_second_moments(model, statements_corpus(), tokens=TOKENS, folder=tmp_path)
    assert torch.equal(found.at(1).matrix, straight.at(1).matrix)


def test_a_passing_checkpoint_does_not_stay_beside_the_file_of_another_amount(model, straight, tmp_path):
    def again(tokens, layers=None):
        return collect_second_moments(model, statements_corpus(), tokens=tokens, layers=layers, folder=tmp_path)

    again(TOKENS * 3 // 4, [1])  # its half is three eighths of all, which is a passing count of the next
    before = again(TOKENS * 3 // 4, [1]).at(1, TOKENS * 3 // 8).matrix
    whole = again(TOKENS)
    assert not list(tmp_path.rglob("*passing*"))
    assert torch.equal(again(TOKENS * 3 // 4, [1]).at(1, TOKENS * 3 // 8).matrix, before)
    assert furthest(whole, straight) < ROUNDING


def test_a_killed_runs_passing_checkpoint_is_not_taken_for_the_file_of_another_amount(model, tmp_path):
    def again(tokens):
        return collect_second_moments(model, statements_corpus(), tokens=tokens, folder=tmp_path)

    found = again(TOKENS // 2)
    for layer in found.layers:
        path = found.file(layer, TOKENS // 2)
        path.rename(sum_path(tmp_path, layer, TOKENS // 2, passing=True))  # as a run over more text had left it
    whole = again(TOKENS // 2)
    assert whole.complete
    assert not list(tmp_path.rglob("*passing*"))


def test_layers_that_a_kill_left_behind_go_on_with_the_others(model, straight, tmp_path, monkeypatch):
    shutil.copytree(straight.folder, tmp_path / "moments")
    behind = replace(straight, folder=tmp_path / "moments")
    for layer in behind.layers:
        for count in behind.counts[2 if layer else 1 :]:
            behind.file(layer, count).unlink()
    taken = []
    real = collecting.read
    monkeypatch.setattr(collecting, "read", lambda reading, of: (taken.append(of), real(reading, of)))
    again = collect_second_moments(model, statements_corpus(), tokens=TOKENS, folder=tmp_path / "moments")
    eighth, quarter = behind.counts[:2]
    assert taken == [Pass((0,), eighth, quarter), Pass(behind.layers, quarter, TOKENS)]
    for layer in behind.layers:
        assert torch.equal(again.at(layer).matrix, straight.at(layer).matrix)


def test_places_between_eighths_are_used_when_enough_time_has_passed(model, straight, tmp_path, monkeypatch):
    monkeypatch.setattr(passes, "CHECKPOINT_TOKENS", TOKENS // 32)
    stored = []
    real = passes._store
    monkeypatch.setattr(passes, "_store", lambda reading, sums, end: (stored.append(end), real(reading, sums, end)))
    for seconds, expected in ((600.0, 8), (0.0, 32)):
        monkeypatch.setattr(passes, "CHECKPOINT_SECONDS", seconds)
        found = collect_second_moments(model, statements_corpus(), tokens=TOKENS, folder=tmp_path / str(seconds))
        assert len(stored) == expected
        stored.clear()
        assert furthest(found, straight) < ROUNDING


def test_weights_are_hashed_once_at_each_checkpoint(model, tmp_path, monkeypatch):
    from ks_core.models import loaded

    hashed = []
    real = loaded.weights_sha256
    monkeypatch.setattr(loaded, "weights_sha256", lambda of: (hashed.append(1), real(of))[1])
    collect_second_moments(model, statements_corpus(), tokens=2048, folder=tmp_path)
    assert len(hashed) == 1 + 8


def test_an_unreadable_checkpoint_is_named_and_nothing_is_read(model, straight, tmp_path):
    shutil.copytree(straight.folder, tmp_path / "moments")
    found = collect_second_moments(model, statements_corpus(), tokens=TOKENS, folder=tmp_path / "moments")
    for count in found.counts[2:]:
        found.file(0, count).unlink()
    found.file(0, found.counts[1]).write_bytes(b"damaged")

    def again():
        with pytest.raises(Exception, match=r"layer-000.*truncated or damaged.*remove it"):
            collect_second_moments(model, statements_corpus(), tokens=TOKENS, folder=tmp_path / "moments")

    assert passes_of(model, again) == (None, 0)


def test_layers_that_are_furthest_behind_are_read_first_as_many_in_each_pass(straight, tmp_path):
    empty = replace(straight, folder=tmp_path, layers=tuple(range(7)))
    assert next_pass(empty, 3) == Pass((0, 1, 2), 0, TOKENS)
    assert next_pass(empty, 6) == Pass((0, 1, 2, 3), 0, TOKENS)
    assert next_pass(empty, 100) == Pass(tuple(range(7)), 0, TOKENS)
    assert next_pass(straight, 1) is None


@pytest.mark.parametrize("count", [8, 4096, 131_072, 8 << 20, 100_000_000, 10**9 + 7])
def test_checkpoints_hold_the_eighths_and_are_never_further_apart_than_they_may_be(count):
    ends = checkpoints(count)
    assert {count * part // 8 for part in range(1, 9)} <= set(ends)
    assert ends == sorted(set(ends))
    steps = [after - before for before, after in zip([0, *ends], ends, strict=False)]
    assert max(steps) <= max(passes.CHECKPOINT_TOKENS + 1, -(-count // 8))


def test_chunks_hold_all_batches_in_their_order_within_what_a_flush_waits_for():
    batched = [[Piece(range(length), 0)] * rows for length, rows in ((3, 5), (7, 2), (40, 1), (2, 2), (9, 1))]
    grouped = list(chunks(batched, 30))
    assert [batch for group in grouped for batch in group] == batched
    assert [sum(len(batch) * len(batch[0]) for batch in group) for group in grouped] == [29, 40, 13]
    assert [len(group) for group in chunks(batched, 1)] == [1] * 5

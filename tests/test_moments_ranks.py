"""One collection by several real processes: the numbers of one process, whichever of them is killed, and when."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from errors import says
from measured import write_text
from moments_at_work import BATCH_TOKENS, LONGEST_TEXT

from ks_core.cli import main
from ks_core.data.corpus import load_corpus
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.measurement.moments.passes import checkpoints
from ks_core.measurement.moments.second_moments import SecondMoments, moments_folder
from ks_core.models.loading import load_model

MODELS = Path(__file__).resolve().parent.parent / "fixtures" / "models"
LLAMA, GPT2 = "ks-llama-l2", "ks-gpt2-l2"
TOKENS = 4096
SEGMENTS = 8
CLOSE = 1e-12
"""Of the largest entry. All processes together read the same batches in the same chunks, each with one thread, so the
products of each are the same to the bit. Only the order in which float64 adds some hundred of them differs, by less
than a hundred times 2⁻⁵³ = 1e-14 of the largest entry (by Cauchy and Schwarz all terms of an entry together are no
more than that)."""

WAIT = 120
"""Seconds: the slowest takes 15 where processors are shared. Whoever waits for ever fails here."""


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    return write_text(tmp_path_factory.mktemp("text") / "text.txt", 900)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))


def collected(
    processes: int, model: str, text: Path, folder: Path, *fault: object, restarts: int = 0
) -> tuple[int, list[str], list[str]]:
    """Collect by torchrun; status, lines of the command's own and its messages."""
    script = Path(__file__).parent / "moments_at_work.py"
    started = ["--nproc-per-node", str(processes), "--max-restarts", str(restarts), str(script)]
    command = [sys.executable, "-m", "torch.distributed.run", *started]
    given = [str(word) for word in (MODELS / model, text, folder, TOKENS, *fault)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *given], capture_output=True, text=True, timeout=WAIT, env=environment, check=False
    )
    messages = [line for line in done.stderr.splitlines() if line.startswith("ks moments")]
    return done.returncode, done.stdout.splitlines(), messages


def alone(model: str, text: Path, folder: Path) -> SecondMoments:
    return collect_second_moments(
        load_model(MODELS / model),
        load_corpus(text),
        tokens=TOKENS,
        batch_tokens=BATCH_TOKENS,
        longest_text=LONGEST_TEXT,
        folder=folder,
    )


@pytest.fixture(scope="module")
def straight(text, tmp_path_factory):
    """Of each model, what one process collects; once."""
    found: dict[str, SecondMoments] = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        for model in (LLAMA, GPT2):
            found[model] = alone(model, text, tmp_path_factory.mktemp(model))
    torch.set_num_threads(threads)
    return found


def assert_same(folder: Path, straight: SecondMoments) -> None:
    """Every stored moment is that of one process, and nothing is left but these files."""
    found = SecondMoments(folder, straight.provenance, straight.layers)
    for layer in straight.layers:
        for count in straight.counts:
            one, many = straight.at(layer, count), found.at(layer, count)
            assert (one.matrix - many.matrix).abs().max() <= CLOSE * one.matrix.abs().max(), (layer, count)
            assert one.count == many.count
    assert names(folder) == names(straight.folder)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("model", "processes"), [(LLAMA, 2), (GPT2, 4)])
def test_moments_of_several_processes_are_those_of_one(model, processes, text, straight, tmp_path):
    status, said, messages = collected(processes, model, text, tmp_path / "moments")
    assert (status, said, messages) == (0, ["loaded", "collected"], [])
    assert_same(tmp_path / "moments", straight[model])


def test_processes_of_different_memory_read_all_of_the_text_and_nothing_twice(text, straight, tmp_path):
    assert collected(2, LLAMA, text, tmp_path / "moments", "another plan", 1, 0)[0] == 0
    assert_same(tmp_path / "moments", straight[LLAMA])


def test_processes_that_divide_the_text_otherwise_are_refused(text, tmp_path):
    """As two versions of the package might: part of the text would be read twice, and part of it not at all."""
    status, _, messages = collected(2, LLAMA, text, tmp_path / "moments", "other batches", 1, 0)
    assert status != 0
    (message,) = messages
    says(message, what="counted", got="tokens of 512", expected="the same text", remedy="start again")
    assert names(tmp_path / "moments") == set()


def test_the_command_by_several_processes_prints_once_what_one_would(text, straight, capfd):
    given = [MODELS / LLAMA, "--corpus", text, "--tokens", TOKENS]
    given += ["--batch-tokens", BATCH_TOKENS, "--longest-text", LONGEST_TEXT]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "ks_core.cli", "moments"]
    subprocess.run([*command, *map(str, given)], timeout=WAIT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    several = capfd.readouterr().out
    assert_same(moments_folder(straight[LLAMA].provenance), straight[LLAMA])
    assert main(["moments", *map(str, given)]) == 0
    one = capfd.readouterr().out
    assert len(several.splitlines()) == len(one.splitlines()) > 0


@pytest.mark.parametrize(("processes", "rank", "then"), [(2, 0, 1), (2, 1, 1), (4, 3, 2)])
def test_a_killed_process_ends_all_and_the_same_command_goes_on(processes, rank, then, text, straight, tmp_path):
    folder, after = tmp_path / "moments", 3 * straight_passes(processes) // SEGMENTS + 1
    status, said, messages = collected(processes, LLAMA, text, folder, "killed", rank, after)
    assert (status != 0, said) == (True, ["loaded"])
    (message,) = messages
    says(message, what="a process of this run ended", expected="all of them to stay", remedy="the same command")
    assert_whole(folder)
    if then == 1:
        alone(LLAMA, text, folder)
    else:
        assert collected(then, LLAMA, text, folder) == (0, ["loaded", "collected"], [])
    assert_same(folder, straight[LLAMA])


def test_torchrun_starts_all_again_where_it_is_told_to(text, straight, tmp_path):
    """The process is killed at its 25th pass of about 32; after that, from the last checkpoint, it has fewer."""
    status, said, messages = collected(2, LLAMA, text, tmp_path / "moments", "killed", 1, 25, restarts=1)
    assert (status, said, len(messages)) == (0, ["loaded", "loaded", "collected"], 1)
    assert_same(tmp_path / "moments", straight[LLAMA])


def assert_whole(folder: Path) -> None:
    """Something was stored, and nothing is half written."""
    assert names(folder)
    assert all(name.endswith(".safetensors") for name in names(folder))


def straight_passes(processes: int) -> int:
    """Forward passes of each of several processes, about."""
    return TOKENS // (BATCH_TOKENS * processes)


@pytest.mark.parametrize(
    ("what", "rank", "said"),
    [
        (
            "keys",
            1,
            {"what": "the keys of layer 1 are NaN", "expected": "finite keys", "remedy": "float32 or bfloat16"},
        ),
        ("no room", 0, {"what": ".safetensors cannot be written", "got": "File too large", "remedy": "make room"}),
    ],
)
def test_what_goes_wrong_in_one_process_is_said_once_and_leaves_what_was_stored(
    what, rank, said, text, straight, tmp_path
):
    status, _, messages = collected(2, LLAMA, text, tmp_path / "moments", what, rank, 20)
    assert status != 0
    (message,) = messages
    says(message, **said)
    assert_whole(tmp_path / "moments")
    alone(LLAMA, text, tmp_path / "moments")
    assert_same(tmp_path / "moments", straight[LLAMA])


def test_the_text_has_more_than_a_batch_for_each_process_between_checkpoints():
    """Or processes would have nothing to do, and the tests nothing to see."""
    assert len(checkpoints(TOKENS)) == SEGMENTS
    assert TOKENS // SEGMENTS >= 2 * 4 * BATCH_TOKENS

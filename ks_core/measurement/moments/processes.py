"""The processes that `torchrun` started: how they meet, and how they end together, with one message."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any

import torch.distributed as dist
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from ks_core.errors import InputError, KsError, ProcessError
from ks_core.formatting import one_line, shown
from ks_core.measurement.moments.ranks import Ranks, lost

NUMBERS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")
VARIABLES = (*NUMBERS, "MASTER_ADDR")
"""What `torchrun` tells each process it starts. One without the first three was not started by it."""

MEETING = timedelta(minutes=10)
"""How long the first process that is there waits for the last: nodes of a cluster start minutes apart."""

SILENCE = timedelta(hours=3)
"""How long a process waits for another that lives: the first may fetch a hundred gigabytes meanwhile, or write a
checkpoint to a slow disk. One that ends is noticed at once."""

ENDED, INTERRUPTED = 2, 130
"""exit statuses, as those of `ks_core.command.run`"""


@contextmanager
def ranks_of_environment(*, cuda: bool = False) -> Iterator[Ranks]:
    """Meet the other processes that `torchrun` started and take leave of them at the block's end.

    Where an error ends the block, one process raises it on, so that it is said once; the others exit with the same
    status and without a word. A fault of the program is raised on by whoever has it. Where another process ends,
    however it does, and where `torchrun` stops this one by SIGTERM, the block ends with a `ProcessError`.

    Args:
        cuda: whether sums are on GPUs, one for each process: they are added up by NCCL, and not by gloo through the
            host.

    Yields:
        This process among all; `Ranks.alone()` where `torchrun` did not start it.

    Raises:
        InputError: variables that are there in part or make no sense, or torch without what the processes talk by.
        ProcessError: the processes cannot meet, or one ended before its work was done.
    """
    place = place_of(os.environ)
    if place is None or place.size == 1:
        yield Ranks(local_rank=place.local_rank) if place else Ranks.alone()
        return
    with _raising_at_sigterm():
        store = _store(place)
        claim, done = _Claim(store), False
        try:
            _meet(place, store, _backend(cuda))
            yield Ranks(place.rank, place.size, place.local_rank, by_host=not cuda, claim=claim)
            done = True
        except (KsError, OSError, MemoryError, KeyboardInterrupt) as error:
            _ignore_sigterm()
            if not claim():
                raise SystemExit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else ENDED) from error
            raise
        finally:
            if (done or not cuda) and dist.is_initialized():  # NCCL would wait for those that are gone
                dist.destroy_process_group()


@dataclass(frozen=True)
class Place:
    """Where a process stands, as `torchrun` numbers it."""

    rank: int
    size: int
    local_rank: int


def place_of(environment: Mapping[str, str]) -> Place | None:
    """The place that the environment tells; None where it tells none.

    Raises:
        InputError: some of `VARIABLES` are missing, no numbers, or do not go together.

    Example:
        >>> place_of({"RANK": "1"})
        Traceback (most recent call last):
        ...
        ks_core.errors.InputError: the environment has RANK but no WORLD_SIZE, LOCAL_RANK, MASTER_PORT, MASTER_ADDR; ...
    """
    there = [name for name in VARIABLES if environment.get(name)]
    if not {"RANK", "WORLD_SIZE", "LOCAL_RANK"} & set(there):
        return None
    if missing := [name for name in VARIABLES if name not in there]:
        raise InputError(
            f"the environment has {', '.join(there)} but no {', '.join(missing)}; expected all of them, as torchrun "
            "sets them, or none: start with torchrun, or unset them"
        )
    rank, size, local_rank, port = (_number(name, environment[name]) for name in NUMBERS)
    if not (rank < size and local_rank <= rank and 0 < port < 1 << 16):
        said = ", ".join(f"{name}={environment[name]}" for name in NUMBERS)
        raise InputError(
            f"the environment has {said}; expected LOCAL_RANK at most RANK, RANK below WORLD_SIZE and a port: start "
            "with torchrun, or unset them"
        )
    return Place(rank, size, local_rank)


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InputError(
            f"the environment has {name}={shown(text)}; expected a whole number: start with torchrun, or unset it"
        )
    return int(text)


def _backend(cuda: bool) -> str:
    wanted = {"gloo": dist.is_available() and dist.is_gloo_available()}
    if cuda:
        wanted["nccl"] = dist.is_available() and dist.is_nccl_available()
    if lacking := [name for name, there in wanted.items() if not there]:
        raise InputError(
            f"this torch has no {' and no '.join(lacking)}, by which processes add their sums up; expected a "
            "build with it: install another one, or start one process, without torchrun"
        )
    return "cpu:gloo,cuda:nccl" if cuda else "gloo"


def _store(place: Place) -> Any:
    """What every process can write to and read from, before they meet.

    On one node torchrun has the same for each attempt (`--max-restarts`), with addresses of processes that are gone:
    each attempt has names of its own in it. On several it has a new one, and nodes may have counted other attempts.
    """
    with _explained(place):
        store, *_ = next(rendezvous("env://", timeout=MEETING))
    one_node = os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]
    if not one_node:
        return store
    return PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT')}", store)


def _meet(place: Place, store: Any, backend: str) -> None:
    with _explained(place):
        dist.init_process_group(backend, store=store, rank=place.rank, world_size=place.size, timeout=SILENCE)


@contextmanager
def _explained(place: Place) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, OSError) as error:  # dist's own errors are RuntimeErrors
        raise ProcessError(
            f"process {place.rank} of {place.size} could not meet the others at {shown(os.environ['MASTER_ADDR'])} "
            f"({one_line(str(error).partition(chr(10))[0])}); expected all of them to start within "
            f"{MEETING.seconds // 60} minutes and that address to be reached from each: see that no firewall is between"
        ) from error


class _Claim:
    """Whether this process is the one to say why the run ends: the first of all that asks, whichever are still there.

    The store that is asked is `torchrun`'s own, so it outlives the first process.
    """

    def __init__(self, store: Any) -> None:
        self._store = store
        self._own: bool | None = None

    def __call__(self) -> bool:
        if self._own is None:
            try:
                self._own = self._store.add("ks_core/said", 1) == 1
            except RuntimeError:  # nobody is there to be asked: said twice is better than never
                self._own = True
        return self._own


@contextmanager
def _raising_at_sigterm() -> Iterator[None]:
    """Inside the block SIGTERM, by which `torchrun` ends those that are left, raises `ProcessError`."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread hears signals
        return
    before = signal.signal(signal.SIGTERM, _stopped)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) is _stopped:
            signal.signal(signal.SIGTERM, before)


def _stopped(_number: int, _frame: FrameType | None) -> None:
    _ignore_sigterm()
    raise lost("stopped by SIGTERM")


def _ignore_sigterm() -> None:
    """Let nothing come between an error and its message, which ends the process."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

"""Processes that share one pass over the text: who is who, sums go to the first, an error of one is that of all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ks_core import errors
from ks_core.errors import InputError, KsError, ProcessError
from ks_core.formatting import one_line

PART = 1 << 23
"""Numbers that are added up over processes at once: 64 MB of float64. The library keeps a copy of what it sends, which
would otherwise be as large as the largest sum."""

TURNS = 3
"""In which processes do what fills a cache: the first of all, then the first of each other node (whose cache may be its
own), then all others, which find it there."""


@dataclass(frozen=True)
class Ranks:
    """One of the processes that share a pass, and what it says to the others; alone, it says nothing.

    Every process must call the same methods in the same order. A method that finds another process gone raises
    `ProcessError`.

    Attributes:
        rank: of this process among all, from 0
        size: how many there are
        local_rank: of this process among those of its node
        by_host: sums on GPUs go through the host's memory, where processes talk by gloo alone
        claim: whether this process is the one to say why the run ends; the first that asks is

    Example:
        >>> alone = Ranks.alone()
        >>> alone.is_first, alone.size, alone.device("cpu"), alone.number_of_first(5)
        (True, 1, 'cpu', 5)
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    by_host: bool = True
    claim: Callable[[], bool] = field(default=lambda: True, compare=False, repr=False)

    @classmethod
    def alone(cls) -> Ranks:
        """The only process: nothing of `torch.distributed` is used."""
        return cls()

    @property
    def is_first(self) -> bool:
        """Whether this process reads checkpoints, writes files, shows progress and prints results."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device of this process: "cuda" is the GPU of its number on its node, anything else stays.

        Raises:
            InputError: a GPU by number for several processes, or a node with fewer GPUs than processes.
        """
        if self.size == 1 or not name.startswith("cuda"):
            return name
        if name != "cuda":
            raise InputError(
                f"device is {name!r} for {self.size} processes, which would all use that one GPU; expected 'cuda', of "
                "which each process takes its own"
            )
        if self.local_rank >= torch.cuda.device_count():
            raise InputError(
                f"this machine has {torch.cuda.device_count()} GPUs, and process {self.local_rank} on it has none; "
                "expected one for each process: lower --nproc-per-node, or give --device cpu"
            )
        return f"cuda:{self.local_rank}"

    def require_own_node(self) -> None:
        """Refuse to share a node's GPUs with other processes, where each would spread a model over all of them.

        Raises:
            InputError: it is not the only process of its node.
        """
        if self.local_rank > 0:
            raise InputError(
                f"process {self.rank} is the {self.local_rank + 1}. of its node, and with a device_map each would "
                "spread the model over all of the node's GPUs; expected one process a node: --nproc-per-node 1"
            )

    def reduce_to_first(self, tensors: Iterable[Tensor]) -> None:
        """Add tensors up over all processes, in place; the sums are the first process's, those of others are void.

        Args:
            tensors: float64, contiguous, on the CPU or this process's device; the same shapes in every process. One
                is sent after another, in parts of `PART` numbers.

        Numerics: the order of additions goes by the number of processes, so the last digits do.

        Raises:
            InputError: a tensor of another dtype, or with gaps between its numbers.
        """
        for tensor in tensors:
            if tensor.dtype != torch.float64 or not tensor.is_contiguous():
                raise InputError(f"a sum is {tensor.dtype} with strides {tensor.stride()}; expected contiguous float64")
            for part in torch.split(tensor.view(-1), PART) if self.size > 1 else ():
                self._reduce(part)

    def _reduce(self, part: Tensor) -> None:
        sent = part.cpu() if self.by_host else part
        _heard(partial(dist.reduce, sent, 0))
        if sent is not part:
            part.copy_(sent)

    def agree(self, error: BaseException | None = None) -> None:
        """Go on where no process has an error; otherwise all raise, so that none waits for ever for one that stopped.

        Args:
            error: what went wrong in this process since it last agreed; None where nothing did.

        Raises:
            KsError: in every process the error of the lowest rank that has one, of the same class and text.
            ProcessError: instead, in the others, where that is no `KsError` but a fault or a lack of memory: the
                process that has it raises it as it is.
        """
        if isinstance(error, ProcessError) or (error is not None and self.size == 1):
            raise error  # of a process that is gone nobody can be told
        if self.size == 1:
            return
        lowest = torch.tensor(self.size if error is None else self.rank)
        _heard(partial(dist.all_reduce, lowest, dist.ReduceOp.MIN))
        of = int(lowest)
        if of == self.size:
            return
        if of == self.rank and not isinstance(error, KsError):
            self.claim()  # before the others hear of it: what it has to say says more
        found = _read_error(self._text_from(_written_error(error, self.rank), of))
        raise error if of == self.rank and error is not None else found

    @contextmanager
    def first_then_others(self) -> Iterator[None]:
        """Run the block in turns, see `TURNS`: what downloads and converts does so once; all leave it together.

        Raises:
            KsError: as `agree`, where the block fails in any process.
        """
        turn = 0 if self.rank == 0 else 1 if self.local_rank == 0 else 2
        for _ in range(turn):
            self.agree()
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
        self.agree(failure)
        for _ in range(turn + 1, TURNS):
            self.agree()

    def number_of_first(self, number: int = 0) -> int:
        """The first process's number, in all of them; what the others give is not used."""
        return int(self.text_of_first(str(number)))

    def text_of_first(self, text: str = "") -> str:
        """The first process's text, in all of them; what the others give is not used."""
        return self._text_from(text, 0)

    def _text_from(self, text: str, source: int) -> str:
        if self.size == 1:
            return text
        content = torch.frombuffer(bytearray(text.encode() or b" "), dtype=torch.uint8)
        length = torch.tensor(len(content) if text else 0)
        _heard(partial(dist.broadcast, length, source))
        if not int(length):
            return ""
        sent = content if self.rank == source else torch.empty(int(length), dtype=torch.uint8)
        _heard(partial(dist.broadcast, sent, source))
        return bytes(sent.numpy()).decode()


def _heard(exchange: Callable[[], Any]) -> None:
    """Exchange something with the other processes; what the library says of one that is gone becomes one sentence."""
    try:
        exchange()
    except RuntimeError as error:
        raise lost("nothing was heard of it for hours" if "imed out" in str(error) else "it was cut off") from error


def lost(how: str) -> ProcessError:
    """What is said of a process that ended before its work was done.

    Example:
        >>> print(lost("stopped by SIGTERM"))
        a process of this run ended before its work was done (stopped by SIGTERM); expected all of them to stay:
        the last checkpoint is whole, start the same command again and it goes on from there
    """
    return ProcessError(
        f"a process of this run ended before its work was done ({how}); expected all of them to stay: the last "
        "checkpoint is whole, start the same command again and it goes on from there"
    )


def _written_error(error: BaseException | None, rank: int) -> str:
    if isinstance(error, KsError):
        return json.dumps([type(error).__name__, str(error)])
    return json.dumps([ProcessError.__name__, f"process {rank} failed: {type(error).__name__}: {one_line(error)}"])


def _read_error(written: str) -> KsError:
    name, text = json.loads(written)
    kind: type[KsError] = getattr(errors, name, KsError)
    return kind(text)

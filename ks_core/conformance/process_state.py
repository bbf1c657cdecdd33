"""What is global to a process and an implementation may set: torch's settings, and three generators."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

SETTINGS = ("torch's default dtype", "torch's gradient mode")
GENERATORS = ("torch's generator", "NumPy's generator", "Python's generator")


def settings() -> tuple[Any, ...]:
    """Of `SETTINGS`, what they are."""
    return torch.get_default_dtype(), torch.is_grad_enabled()


def states() -> list[Any]:
    """Of `GENERATORS`, where they are; values that can be compared."""
    numpy: Any = np.random.get_state(legacy=False)
    place = numpy["state"]["key"].tobytes(), numpy["state"]["pos"]
    return [torch.random.get_rng_state().numpy().tobytes(), place, random.getstate()]


@contextmanager
def seeded() -> Iterator[Callable[[int], None]]:
    """Give a way to seed all generators; they are at 0 to begin with, and afterwards where they were found."""
    kept = random.getstate(), np.random.get_state(), torch.random.get_rng_state()

    def reseed(seed: int) -> None:
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)

    reseed(0)
    try:
        yield reseed
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        torch.random.set_rng_state(kept[2])

"""Where the sums of a collection are held, and how many layers are read at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Placing:
    """How many layers a pass reads, and where their sums are.

    Attributes:
        at_once: layers a pass reads at most
        short: sums are float32 on the device and float64 on the host, see `FlushedAccumulator`; float64 on the device
            where not
        mapped: those of the host are mapped from a file
    """

    at_once: int
    short: bool = False
    mapped: bool = False

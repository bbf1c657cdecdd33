"""Seconds between laps, for the report and for whoever waits."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Says each lap as it ends, and keeps how long it took."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str, detail: str = "") -> None:
        """End a lap."""
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now
        self._say(f"  {self.laps[name]:6.1f} s  {name}{': ' if detail else ''}{detail}")

"""Seconds between laps, for results and for whoever waits."""

from __future__ import annotations

import logging
import time

logger = logging.getLogger(__name__)


class Clock:
    """Logs each lap as it ends, and keeps how long it took."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str, detail: str = "") -> None:
        """End a lap."""
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now
        logger.info("  %6.1f s  %s%s%s", self.laps[name], name, ": " if detail else "", detail)

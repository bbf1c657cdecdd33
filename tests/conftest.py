"""Hypothesis profiles: the default draws the same examples everywhere, `--hypothesis-profile=thorough` many more."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# Linear algebra on a busy machine has no steady pace, so time limits per example would only raise false alarms.
settings.register_profile(
    "default",
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "thorough", max_examples=1000, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what the plain run is going to do; other selections announce themselves."""
    if "not paper" not in config.option.markexpr:
        return None
    return "the test suite: offline, nothing outside pytest's temporary folder, about five minutes on two cores"

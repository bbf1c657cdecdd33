"""Hypothesis profiles (`--hypothesis-profile=thorough` draws many more), and one measurement that tests share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import hypothesis
import pytest

# Linear algebra on a busy machine has no steady pace, so time limits per example would only raise false alarms.
hypothesis.settings.register_profile(
    "default",
    max_examples=50,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "thorough", max_examples=1000, deadline=None, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
# A mutant is killed by the first example that fails; to look for a smaller one would tell nothing.
hypothesis.settings.register_profile(
    "mutation",
    hypothesis.settings.get_profile("default"),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile("default")


def pytest_configure() -> None:
    """Take interrupts: a script's background jobs ignore them, and so would the processes that tests interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what the plain run is going to do; other selections announce themselves."""
    if "not paper" not in config.option.markexpr:
        return None
    return "the test suite: offline, nothing outside pytest's temporary folder, minutes on two cores"


@pytest.fixture(scope="session", autouse=True)
def _no_worker():
    """A pytest that a test starts is a run of its own, also where the suite itself runs in several processes."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
            patch.delenv(name)
        patch.delenv("COLUMNS", raising=False)  # of the terminal that the suite is run on
        yield


@pytest.fixture(scope="session", autouse=True)
def _offline():
    """The suite never touches the network: a connection is refused here, as on a machine without one."""

    def refuse(_self, address):
        raise OSError(f"the tests are offline; refused to connect to {address}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.socket.connect", refuse)
        yield


@pytest.fixture(scope="session")
def measured_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("measured")


@pytest.fixture(scope="session")
def settings(measured_folder):
    """Of a measurement of a tiny Llama that takes a second."""
    from measured import write_everything

    from ks_core.experiments.request.settings import Settings

    inputs = write_everything(measured_folder, "llama")
    return Settings(**inputs, num_facts=8, tokens=1600, resamples=40, batch_tokens=256)


@pytest.fixture(scope="session")
def measurement(settings, measured_folder):
    from ks_core.experiments.pairs.measure import measure

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(measured_folder / "cache"))
        return measure(settings)


@pytest.fixture(scope="session")
def findings(measurement):
    """What all claims find that can be judged on the pairs of few facts in two layers."""
    from ks_core.claims.finding import NotApplicable
    from ks_core.claims.registry import judge_all
    from ks_core.experiments.measured import Measured

    outcomes = judge_all(Measured(measurement)).values()
    return [finding for found in outcomes if not isinstance(found, NotApplicable) for finding in found]

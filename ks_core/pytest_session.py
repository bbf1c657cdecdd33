"""The one measurement of a pytest run: started when it is asked for, before the tests or in the middle of one."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from ks_core.data.fixtures import checkout_fixtures
from ks_core.errors import KsError
from ks_core.formatting import printable

if TYPE_CHECKING:
    from ks_core.experiments.measured import Part
    from ks_core.reporting.session import PaperSession

SESSION: pytest.StashKey[PaperSession] = pytest.StashKey()
FAILURE: pytest.StashKey[str] = pytest.StashKey()
"""Why there is no session: what could not be used once is not tried again."""

ONE_PROCESS = "the claims share one measurement; run them in one process: without -n, or with -n 0"


def session_of(config: pytest.Config, part: Part = "pairs") -> PaperSession:
    """The run's session with this part measured: starts it, and measures what is missing.

    Raises:
        KsError: what cannot be used; where there is no session, the same again for each who asks after that.
    """
    if is_worker(config):
        raise KsError(ONE_PROCESS)
    if FAILURE in config.stash:
        raise KsError(config.stash[FAILURE])
    try:
        with _aloud(config):
            if SESSION not in config.stash:
                from ks_core.reporting.session import start_session

                config.stash[SESSION] = start_session(_given(config))
            config.stash[SESSION].require(part)
    except (KsError, OSError) as error:
        reason = str(error) if isinstance(error, KsError) else _with_folders(config, error)
        if SESSION not in config.stash:
            config.stash[FAILURE] = reason
        raise KsError(reason) from error
    return config.stash[SESSION]


def is_worker(config: pytest.Config) -> bool:
    """Whether this is one of several processes of pytest-xdist, and not the main one."""
    return hasattr(config, "workerinput")


@contextmanager
def _aloud(config: pytest.Config) -> Iterator[None]:
    """What is logged is seen on the terminal and not captured, and what a library warns of fails no test."""
    capture = config.pluginmanager.getplugin("capturemanager")
    logger, handler = logging.getLogger("ks_core"), _Terminal(config.pluginmanager.getplugin("terminalreporter"))
    before = logger.level, logger.propagate
    with capture.global_and_fixture_disabled() if capture else nullcontext(), warnings.catch_warnings():
        # A project's `filterwarnings = error` is for its tests; what a library says about a model is no failure.
        warnings.simplefilter("default")
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False  # or a test that fails shows it all once more
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before[0])
            logger.propagate = before[1]


class _Terminal(logging.Handler):
    """Writes each record as a line of pytest's report; names of models and folders in it are other people's."""

    def __init__(self, reporter: Any) -> None:
        super().__init__(logging.INFO)
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        if self._reporter is not None:
            self._reporter.write_line(printable(record.getMessage()))
            self._reporter.flush()


def _given(config: pytest.Config) -> dict[str, Any]:
    options = vars(config.option).items()
    found = {name.removeprefix("ks_"): value for name, value in options if name.startswith("ks_") and value is not None}
    if "families" in found:
        found["families"] = tuple(map(tuple, found["families"]))
    # In a checkout its own baselines, even where the package under test is an installed copy: they can be rewritten.
    checkout = checkout_fixtures(config.rootpath)
    ours = {"baselines": str(checkout / "baselines"), "own_models": str(checkout / "models")} if checkout else {}
    return {**ours, **found}


def _with_folders(config: pytest.Config, error: OSError) -> str:
    from ks_core.files import cache_dir

    return (
        f"{error}; expected folders that can be written: results go to {config.option.ks_results} (--ks-results), the "
        f"rest to {cache_dir()} ($KS_CORE_CACHE)"
    )

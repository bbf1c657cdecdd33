"""Keep transformers' progress bars and advice off logs: they are for a person at a terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

from transformers.utils import logging


@contextmanager
def quiet_unless_terminal() -> Iterator[None]:
    """Inside the block transformers shows progress bars and warnings only when stderr is a terminal.

    What it raises or logs as an error is not touched.
    """
    if sys.stderr.isatty():
        yield
        return
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with redirect_stderr(io.StringIO()):  # the bar of its GGUF reader obeys no setting
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()

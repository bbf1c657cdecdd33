"""What cannot be used ends the run in one line: all tests here need the same measurement."""

import pytest

from ks_core.errors import KsError
from ks_core.formatting import one_line
from ks_core.pytest_session import is_worker, session_of


@pytest.fixture(scope="session", autouse=True)
def _one_measurement(request):
    try:
        session_of(request.config)
    except KsError as error:
        if is_worker(request.config):
            pytest.fail(one_line(error), pytrace=False)
        pytest.exit(f"ERROR: {one_line(error)}", returncode=pytest.ExitCode.USAGE_ERROR)

"""The inputs, the selected facts and every statistic of every layer are what the model's baseline says."""

import pytest

pytestmark = pytest.mark.paper

SHOWN = 20


@pytest.mark.usefixtures("ks_measurement")
def test_baseline(ks_baseline_problems):
    if ks_baseline_problems:
        more = len(ks_baseline_problems) - SHOWN
        listed = "\n".join(ks_baseline_problems[:SHOWN] + ([f"and {more} more"] if more > 0 else []))
        pytest.fail(f"{len(ks_baseline_problems)} differences from the baseline:\n{listed}", pytrace=False)

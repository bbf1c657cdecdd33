"""The inputs, the selected facts and every statistic of every layer are what the model's baseline says."""

import pytest

pytestmark = pytest.mark.paper


@pytest.mark.usefixtures("ks_measurement")
def test_baseline(ks_baseline_problems):
    if ks_baseline_problems:
        listed = "\n".join(ks_baseline_problems[:20])
        pytest.fail(f"{len(ks_baseline_problems)} differences from the baseline:\n{listed}", pytrace=False)

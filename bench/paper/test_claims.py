"""Every claim on the model that the `--ks-*` options name; what each means stands in its file in `ks_core/claims`."""

import pytest

from ks_core.claims.registry import CLAIMS

MARKS = {"long_stream": pytest.mark.ks_slow}


@pytest.mark.parametrize(
    "claim",
    [pytest.param(claim, id=name, marks=MARKS.get(claim.needs, pytest.mark.paper)) for name, claim in CLAIMS.items()],
)
def test_claim(claim, ks_judge):
    ks_judge(claim)

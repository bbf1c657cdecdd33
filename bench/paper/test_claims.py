"""Every claim on the model that the `--ks-*` options name; what each means stands in its file in `ks_core/claims`."""

import pytest

from ks_core.claims.registry import CLAIMS

SLOW = ("lifelong", "capacity", "long_dose")
"""What takes many minutes to measure."""


def marks(claim):
    return pytest.mark.slow if claim.needs in SLOW else pytest.mark.paper


@pytest.mark.parametrize(
    "claim",
    [pytest.param(claim, id=name, marks=marks(claim)) for name, claim in CLAIMS.items()],
)
def test_claim(claim, ks_judge):
    ks_judge(claim)

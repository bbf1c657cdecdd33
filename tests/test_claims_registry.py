"""Every claim is listed, says what it is, and says why where it cannot be judged."""

import importlib
import pkgutil

import pytest

import ks_core.claims
from ks_core.claims.claim import Claim
from ks_core.claims.finding import NotApplicable
from ks_core.claims.registry import CLAIMS, judge_all
from ks_core.experiments.measured import Measured


def test_every_claim_that_is_defined_is_listed_under_its_name():
    rooms = [
        importlib.import_module(f"ks_core.claims.{of.name}") for of in pkgutil.iter_modules(ks_core.claims.__path__)
    ]
    defined = [value for room in rooms for value in vars(room).values() if isinstance(value, Claim)]
    assert {id(claim) for claim in defined} == {id(claim) for claim in CLAIMS.values()}
    assert all(claim.name == name for name, claim in CLAIMS.items())


def test_findings_carry_the_name_of_their_claim(measurement):
    for name, outcome in judge_all(Measured(measurement)).items():
        if not isinstance(outcome, NotApplicable):
            assert {finding.claim for finding in outcome} == {name}
            assert len({finding.id for finding in outcome}) == len(outcome)


def test_a_claim_whose_part_was_not_measured_says_so(measurement):
    outcomes = judge_all(Measured(measurement))
    for name, claim in CLAIMS.items():
        if claim.needs != "pairs":
            assert outcomes[name] == NotApplicable(claim.missing)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("layers", "2 layers measured"),
        ("heavy-tail", "measure more facts"),
        ("published-superposition", "not compared with the published numbers: model is"),
    ],
)
def test_a_claim_that_cannot_be_judged_says_why(measurement, name, reason):
    """Two layers and eight facts of a tiny model."""
    outcome = CLAIMS[name].judge(Measured(measurement))
    assert isinstance(outcome, NotApplicable)
    assert reason in outcome.reason

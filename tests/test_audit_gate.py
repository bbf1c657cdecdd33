"""Limits that an audit keeps or breaks."""

from dataclasses import replace

import numpy as np
import pytest
from test_audit_files import planted

from ks_core.auditing.gate import Limits, complaints, unasked, unreached
from ks_core.errors import InputError
from ks_core.measurement.readable import LeftOut

LOSSES = np.array([[np.nan, 0.2, 0.3], [0.4, 0.1, 0.9]])
"""By two edits alone; together the planted ones cost 0.5, 0.3 and 0.1."""


def audited(overtaken=((0, 0, 0), (0, 0, 0))):
    return planted(losses=LOSSES, overtaken=np.array(overtaken, dtype=bool))


@pytest.mark.parametrize(
    ("limit", "over"), [(0.95, None), (0.9, None), (0.8, (1, "Paris 4 (France) with 0.90")), (0.4, (2, "0.90"))]
)
def test_a_fact_may_lose_as_much_as_is_allowed_by_any_edit_or_all(limit, over):
    found = complaints(Limits(fail_over=limit), audited())
    if over is None:
        assert found == ()
    else:
        count, worst = over
        assert len(found) == 1
        assert found[0].startswith(f"{count} of 3 facts to keep lose more than {limit:g} nats, most ")
        assert worst in found[0]


def test_together_is_held_on_its_own():
    together = audited().together
    assert complaints(Limits(fail_over=0.5), together) == ()
    assert "Paris 2 (France) with 0.50" in complaints(Limits(fail_over=0.49), together)[0]
    assert complaints(Limits(fail_overtaken=1), together) == ()
    assert (
        "1 of 3 facts to keep are overtaken by another object, 0 allowed: Paris 4 (France)"
        in (complaints(Limits(fail_overtaken=0), together)[0])
    )


def test_facts_that_several_edits_overtake_count_once():
    found = audited(overtaken=((1, 0, 0), (1, 0, 1)))  # the last one by all together too
    assert complaints(Limits(fail_overtaken=2), found) == ()
    assert complaints(Limits(fail_overtaken=1), found)[0].startswith("2 of 3 facts")


def test_no_limit_is_no_complaint():
    assert complaints(Limits(), audited()) == ()


def test_of_many_overtaken_facts_the_first_are_named():
    found = planted(kept=9, overtaken=np.ones((2, 9), dtype=bool))
    assert complaints(Limits(fail_overtaken=0), found)[0].endswith("Paris 6 (France) and 4 more")


@pytest.mark.parametrize("wrong", [{"fail_over": -1.0}, {"fail_over": float("nan")}, {"fail_overtaken": -1}])
def test_limits_below_nothing_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Limits(**wrong)


def test_edits_that_are_not_reached_are_named_lowest_first():
    edits = planted(edits=7).edits
    assert unreached(edits[:2], (0.95, 0.99), 0.95) == ()
    assert unreached(edits[:2], (0.9461, 0.99), 0.95) == (
        "1 of 2 edits do not reach p = 0.95: Paris 0 (case 0, p = 0.946)",
    )
    [said] = unreached(edits, [n / 10 for n in range(7)], 0.95)
    assert said.startswith("7 of 7 edits do not reach p = 0.95: Paris 0 (case 0, p = 0), Paris 1 (case 1, p = 0.1)")
    assert said.endswith(" and 2 more")


def test_edits_that_nothing_is_foreseen_of_are_named():
    first, second, third = planted(edits=3).edits
    out = (LeftOut(second.case_id, "Paris 1", "the prompt is too long"), LeftOut(99, "kept", "no matter"))
    assert unasked((), (first, second)) == ()
    assert unasked(out[1:], (first, second)) == ()
    [said] = unasked(out, (first, second))
    assert said == "1 of 2 edits cannot be asked for, the first is fact 1 ('Paris 1'): the prompt is too long"
    [said] = unasked((), (first, replace(third, subject=first.subject, target_new="Peru")))
    assert "contradict each other" in said

"""The wrapped updates of the field break the laws that they are said to break, and no others."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import alphaedit
import easyedit
import memit
import pmet
import pytest
import rome
import torch

from ks_core.conformance import Traits
from ks_core.conformance.checking import hold
from ks_core.conformance.editors import Editor
from ks_core.conformance.registry import LAWS, laws_for

MODULES = (rome, easyedit, memit, pmet, alphaedit)
PUBLISHED = [(module, name) for module in MODULES for name in module.EDITORS]
CLAIMED = [(module, claim) for module in MODULES for claim in module.NOT_CLAIMED]
SEEDS = (0, 1)  # some of what is broken shows on few problems only


@cache
def outcomes(editor: Any, traits: Traits | None = None) -> dict[str, set[str]]:
    """Every law, and what became of it under the seeds."""
    held = Editor.of(editor, traits)
    return {
        law.name: {hold(law, held, max_examples=20, seed=seed, shrink=False).outcome for seed in SEEDS}
        for law in laws_for("editor")
    }


def broken_and_tried(found: dict[str, set[str]]) -> tuple[set[str], set[str]]:
    return {law for law in found if "failed" in found[law]}, {law for law in found if found[law] != {"skipped"}}


def name_of(module_and_name: Any) -> str:
    return module_and_name.__name__ if isinstance(module_and_name, ModuleType) else str(module_and_name)


@pytest.mark.parametrize(("module", "name"), PUBLISHED, ids=name_of)
def test_published_update_breaks_the_laws_that_it_is_said_to_break(module: Any, name: str) -> None:
    found = outcomes(module.EDITORS[name])
    broken, _ = broken_and_tried(found)
    assert broken - set(module.MAY_BREAK.get(name, {})) == set(module.BREAKS[name])
    undecided = {law for law in found if "undecided" in found[law]}
    assert undecided <= ({"arithmetic_is_as_precise_as_claimed"} if broken else set())  # errors that are no rounding


@pytest.mark.parametrize(("module", "claim"), CLAIMED, ids=name_of)
def test_published_update_breaks_more_laws_where_more_is_claimed(module: Any, claim: str) -> None:
    name, traits = module.NOT_CLAIMED[claim]
    broken, tried = broken_and_tried(outcomes(module.EDITORS[name], traits))
    expected = (set(module.BREAKS[name]) | set(module.BREAKS_IF_CLAIMED[claim])) & tried
    assert set(module.BREAKS_IF_CLAIMED[claim]) <= tried
    assert broken - set(module.MAY_BREAK.get(claim, {})) == expected


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_module_says_of_every_editor_and_every_claim_what_breaks(module: Any) -> None:
    assert set(module.BREAKS) == set(module.EDITORS)
    assert set(module.BREAKS_IF_CLAIMED) == set(module.NOT_CLAIMED)
    assert set(module.MAY_BREAK) <= set(module.EDITORS) | set(module.NOT_CLAIMED)
    told = [laws for said in (module.BREAKS, module.MAY_BREAK, module.BREAKS_IF_CLAIMED) for laws in said.values()]
    assert {law for laws in told for law in laws} <= set(LAWS)


def test_alphaedit_remembers_the_keys_of_its_stream() -> None:
    """What makes it stateful: K_p, so that a second batch minds the first."""
    weight, moment = torch.zeros(1, 2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    protected, value = torch.tensor([[0.0, 1.0]]).double(), torch.ones(1, 1).double()
    key = torch.tensor([[1.0, 0.0]]).double() * alphaedit.LAMBDA**0.5
    stream = alphaedit.AlphaEdit()
    first = stream(weight, key, value, moment, protected)
    second = stream(first, key, value, moment, protected)
    assert (first @ key.T).item() == pytest.approx(1 / 2)  # kᵀk / (λ + kᵀk)
    assert (second @ key.T).item() == pytest.approx(1 / 2 + 1 / 2 / 3)  # half is missing; the key counts twice
    assert first[0, 1] == second[0, 1] == 0


def test_alphaedits_threshold_goes_by_the_scale_of_the_keys() -> None:
    """Why `CutAtAConstant` is not the formula: the same text in other units opens every direction, or none."""
    moment, key = torch.diag(torch.tensor([1.0, 1e-3])).double(), torch.ones(1, 2).double()
    weight, value = torch.zeros(1, 2).double(), torch.ones(1, 1).double()
    steps = [alphaedit.CutAtAConstant()(weight, key, value, scale * moment)[0] for scale in (1, 1e2, 1e-2)]
    assert [(step != 0).tolist() for step in steps] == [[False, True], [False, False], [True, True]]


@pytest.mark.parametrize(("module", "layers", "first"), [(memit, 5, 1 / 5), (pmet, 6, 6**-0.5)], ids=name_of)
def test_layers_write_together_what_is_missing(module: Any, layers: int, first: float) -> None:
    """Each writes its share of what the ones before it left: MEMIT's equal parts, PMET's first the most."""
    left, parts = 1.0, []
    for remaining in range(layers, 0, -1):
        parts.append(left * module.at_layer(remaining).ks_traits.share)
        left -= parts[-1]
    assert parts[0] == pytest.approx(first)
    assert sum(parts) == pytest.approx(1)
    if module is memit:
        assert parts == pytest.approx([1 / layers] * layers)

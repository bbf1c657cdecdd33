"""The wrapped updates of ROME, MEMIT and AlphaEdit break the laws that they are said to break, and no others."""

from __future__ import annotations

from typing import Any

import alphaedit
import memit
import pytest
import rome
import torch

from ks_core.conformance.checking import hold
from ks_core.conformance.editors import Editor
from ks_core.conformance.registry import laws_for

PUBLISHED = [(rome, rome.edit), (memit, memit.edit), (alphaedit, alphaedit.AlphaEdit)]
SEEDS = (0, 1)  # some of what is broken shows on few problems only


def broken_and_tried(editor: Editor) -> tuple[set[str], set[str]]:
    laws = laws_for("editor")
    results = [hold(law, editor, max_examples=30, seed=seed, shrink=False) for seed in SEEDS for law in laws]
    tried = {result.law for result in results if result.outcome != "skipped"}
    return {result.law for result in results if result.outcome == "failed"}, tried


@pytest.mark.parametrize(("module", "editor"), PUBLISHED)
def test_published_update_breaks_the_laws_that_it_is_said_to_break(module: Any, editor: Any) -> None:
    broken, _ = broken_and_tried(Editor.of(editor))
    assert broken - set(getattr(module, "MAY_BREAK", {})) == set(module.BREAKS)


@pytest.mark.parametrize(("module", "editor"), PUBLISHED)
def test_published_update_breaks_more_laws_where_more_is_claimed(module: Any, editor: Any) -> None:
    broken, tried = broken_and_tried(Editor.of(editor, module.NOT_CLAIMED))
    expected = (set(module.BREAKS) | set(module.BREAKS_IF_CLAIMED)) & tried
    assert set(module.BREAKS_IF_CLAIMED) <= tried
    assert broken - set(getattr(module, "MAY_BREAK", {})) == expected


def test_alphaedit_remembers_the_keys_of_its_stream() -> None:
    """What makes it stateful: K_p, so that a second batch minds the first."""
    weight, moment = torch.zeros(1, 2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    protected, value = torch.tensor([[0.0, 1.0]]).double(), torch.ones(1, 1).double()
    key = torch.tensor([[1.0, 0.0]]).double()
    stream = alphaedit.AlphaEdit()
    first = stream(weight, key, value, moment, protected)
    second = stream(first, key, value, moment, protected)
    assert first.tolist() == [[0.5, 0.0]]  # r / (1 + kᵀk)
    assert second.tolist() == [[0.5 + 0.5 / 3, 0.0]]  # 0.5 / (1 + 2 kᵀk): the key counts twice

"""One contract for an editor: what laws are held against runs as a method, and what runs as a method obeys the laws."""

import importlib
import math
import re

import numpy as np
import pytest
import torch
from measured import write_everything

from ks_core.claims import accumulation
from ks_core.claims.finding import Verdict
from ks_core.conformance import check_editor
from ks_core.conformance.checking import hold
from ks_core.conformance.editors import Editor
from ks_core.conformance.registry import LAWS
from ks_core.errors import InputError, ReturnedError
from ks_core.experiments.request.inputs import load_inputs
from ks_core.experiments.request.selection import select_facts
from ks_core.experiments.request.settings import Settings
from ks_core.experiments.streams.measure import measure_stream
from ks_core.models.fingerprint import weights_sha256
from ks_core.reporting.figures.drawing import save_figures
from ks_core.reporting.figures.streams import stream_figures
from ks_core.reporting.results import plain
from ks_core.reporting.streams import methods_table, stream_numbers
from ks_core.theory.editors import editor_of, method_of
from ks_core.theory.key_spaces import null_space, protect
from ks_core.theory.methods import Joint, Sequential
from ks_core.theory.traits import Traits, traits
from ks_core.theory.whitening import whiten

JOINT = Traits(order="joint")
OURS = {
    "sequential": (editor_of(lambda second_moment: Sequential(whiten(second_moment))), {}),
    "joint": (editor_of(lambda second_moment: Joint(whiten(second_moment)), JOINT), {}),
    "protected": (
        editor_of(
            lambda second_moment, keys: Joint(protect(whiten(second_moment), keys)),
            Traits(order="joint", protected=True),
        ),
        {},
    ),
}
PUBLISHED = {name: importlib.import_module(name) for name in ("rome", "memit", "alphaedit")}
EDITORS = {
    "rome": PUBLISHED["rome"].edit,
    "memit": PUBLISHED["memit"].edit,
    "alphaedit": PUBLISHED["alphaedit"].AlphaEdit,
}
AGREES = 1e-8
"""Relative; a plain inverse of a second moment of condition number 1e6 keeps half of the digits."""


@pytest.mark.parametrize("name", OURS)
def test_our_methods_obey_the_laws_as_editors(name):
    editor, breaks = OURS[name]
    results = check_editor(editor, max_examples=10, xfails=breaks)
    assert {result.law for result in results if result.outcome not in ("passed", "skipped")} == set()
    assert sum(result.outcome == "passed" for result in results) > 10


def test_the_null_space_method_writes_elsewhere_and_the_laws_say_so():
    claims = Traits(order="joint", ridge=1.0)
    editor = editor_of(lambda second_moment: Joint(null_space(second_moment), ridge=1.0), claims)
    outcome = {result.law: result.outcome for result in check_editor(editor, max_examples=10)}
    assert outcome["direction_is_whitened"] == "failed"


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    folder = tmp_path_factory.mktemp("editors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        paths = write_everything(folder, "gpt_neox", layers=3)
        inputs = load_inputs(Settings(**paths, num_facts=8, num_edits=4, tokens=1600, resamples=40))
        before = weights_sha256(inputs.model.model)
        found = measure_stream(inputs, select_facts(inputs.model, inputs.facts, 8), 4, EDITORS)
        assert weights_sha256(inputs.model.model) == before
        yield inputs, found


def test_an_editor_runs_in_a_stream_beside_our_methods(stream):
    _, found = stream
    assert list(found.streams.runs) == ["sequential", "joint", "null-space", "protected", *EDITORS]
    rome, sequential = (found.streams.runs[name] for name in ("rome", "sequential"))
    for mine, ours in zip(rome, sequential, strict=True):  # ROME's update one after another is the sequential method
        np.testing.assert_allclose(mine.exact.bystanders.measured, ours.exact.bystanders.measured, rtol=AGREES)
        assert mine.length == pytest.approx(ours.length, rel=AGREES)


def test_an_editor_that_protects_keys_gets_the_protected_facts(stream):
    _, found = stream
    exact = found.streams.runs["alphaedit"][-1].exact
    assert exact.protected.measured.max() < AGREES * exact.bystanders.measured.max()


def test_interference_of_an_editor_is_measured_and_not_predicted(stream):
    _, found = stream
    of = found.streams.runs["memit"][-1].exact.bystanders
    assert not of.is_predicted
    assert math.isnan(of.relative())
    assert np.isfinite(of.measured).all()
    assert found.streams.runs["joint"][-1].exact.bystanders.is_predicted


def test_a_stream_with_unknown_methods_is_shown(stream, tmp_path):
    _, found = stream
    table = methods_table(found)
    assert any("not predicted" in line and "rome, memit, alphaedit" in line for line in table)
    numbers = plain(stream_numbers(found))
    assert numbers["methods"]["rome"][-1]["float64"]["bystanders"]["relative"] is None
    written, problems = save_figures(tmp_path, stream_figures(found, "tiny"))
    assert (len(written), problems) == (3, [])


def test_claims_about_our_methods_are_judged_beside_unknown_ones(stream):
    _, found = stream
    predicted = accumulation.judge(found)[0]
    assert predicted.judged.verdict is Verdict.HOLDS
    assert not any(name in predicted.quantity for name in EDITORS)


def test_an_editor_may_take_numpy_and_float32():
    @traits(array="numpy", dtype="float32")
    def edit(weight, keys, values, second_moment):
        assert {type(array) for array in (weight, keys, values, second_moment)} == {np.ndarray}
        assert {array.dtype for array in (weight, keys, values, second_moment)} == {np.dtype("float32")}
        weight += 1
        return weight

    weight = torch.full((2, 3), 0.1, dtype=torch.float64)
    delta = method_of(edit, torch.eye(3)).edit(weight, torch.ones(1, 3), torch.ones(1, 2)).delta()
    assert torch.equal(weight, torch.full((2, 3), 0.1, dtype=torch.float64)), "it was given a copy"
    torch.testing.assert_close(delta, torch.ones(2, 3, dtype=torch.float64), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("editor", "message"),
    [
        ("rome", "the editor is a str; expected a function"),
        (traits(protected=True)(lambda *_: None), "the editor <lambda> protects keys and got none"),
    ],
)
def test_what_is_no_editor_is_refused(editor, message):
    with pytest.raises(InputError, match=message):
        method_of(editor, torch.eye(2))


def edited_by(editor):
    """The change that an editor makes of a weight of ones, (2, 3)."""
    return method_of(editor, torch.eye(3)).edit(torch.ones(2, 3), torch.ones(1, 3), torch.ones(1, 2)).delta()


@traits(stateful=True)
def makes_nothing():
    return None


def transposed(weight, *_):
    return weight.T


def in_words(*_):
    return np.array([["a", "b", "c"], ["d", "e", "f"]])


@pytest.mark.parametrize(
    ("editor", "message"),
    [
        (transposed, r"^the editor transposed returned shape \(3, 2\); expected \(2, 3\).*return the whole new weight"),
        (in_words, r"^the editor in_words returned an array of <U1; expected real numbers"),
        (lambda *_: np.ones((2, 3), dtype=">f8"), "returned an array of >f8; expected real numbers"),
        (makes_nothing, "^the factory makes_nothing returned a NoneType; expected an editor"),
        (lambda weight, *_: weight.tolist(), "returned a list; expected an array"),
        (lambda *_: None, "returned a NoneType; expected an array"),
        (lambda weight, *_: weight * 1j, "returned complex numbers; expected real ones"),
        (lambda weight, *_: weight / 0, "returned 6 NaN or infinite entries of 6"),
    ],
)
def test_what_an_editor_returns_is_refused_as_by_the_laws(editor, message):
    with pytest.raises(ReturnedError, match=message):
        edited_by(editor)
    result = hold(LAWS["last_edit_is_exact"], Editor.of(editor))
    assert result.outcome == "failed"
    assert re.search(r"the (editor|factory) returned ", result.message)


def test_what_an_editor_raises_is_the_cause_of_an_error_that_names_it():
    def broken(*_):
        raise KeyError("mine")

    with pytest.raises(
        InputError, match=r"^the editor .*broken raised KeyError: .*mine.*; expected a new weight"
    ) as caught:
        edited_by(broken)
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_result_that_requires_a_gradient_is_detached():
    delta = edited_by(lambda weight, *_: torch.nn.Parameter(weight + 1))
    assert not delta.requires_grad
    assert torch.equal(delta, torch.ones(2, 3, dtype=torch.float64))


def test_a_result_may_be_a_view_that_runs_backwards():
    backwards = traits(array="numpy")(lambda weight, *_: (weight + np.arange(3.0))[:, ::-1])
    assert torch.equal(edited_by(backwards), torch.tensor([[2.0, 1, 0]] * 2, dtype=torch.float64))


def test_a_factory_makes_a_new_editor_for_each_stream():
    made = []

    @traits(stateful=True)
    def factory():
        made.append(len(made) + 1.0)
        return lambda weight, *_: weight + made[-1]

    assert [float(edited_by(factory)[0, 0]) for _ in range(2)] == [1.0, 2.0]


def test_an_editor_with_the_name_of_a_method_is_refused(stream):
    inputs, _ = stream
    with pytest.raises(InputError, match="an editor is called 'joint'; expected another name than"):
        measure_stream(inputs, select_facts(inputs.model, inputs.facts, 8), 4, {"joint": EDITORS["rome"]})

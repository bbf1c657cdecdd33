"""What a model is measured to be, from one call: numbers, frames, figures and verdicts."""

import sys
from dataclasses import replace

import numpy as np
import pandas
import pytest
import torch
from matplotlib.figure import Figure
from measured import write_facts, write_text
from tiny_models import byte_level_tokenizer, tiny_model

import ks_core as ks
from ks_core.experiments.measured import Measured

SMALL = ks.Settings(num_facts=8, num_edits=4, tokens=1600, resamples=40, batch_tokens=256)


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    return {"facts": write_facts(folder / "facts.json", 48), "corpus": write_text(folder / "text.txt", 300)}


@pytest.fixture(scope="module")
def model():
    return ks.load_model(tiny_model("llama", dtype=torch.float32), byte_level_tokenizer())


@pytest.fixture(scope="module")
def found(model, files):
    return ks.measure(model, files["facts"], SMALL, corpus=files["corpus"])


def nothing(weight, *_):
    return weight


@pytest.fixture
def ax():
    return Figure().subplots()


def test_an_editor_of_ones_own_runs_in_the_stream_beside_the_methods(model, files):
    of = ks.measure(model, files["facts"], SMALL, corpus=files["corpus"], parts=["stream"], editors={"mine": nothing})
    streams = of.measured.stream.streams
    assert set(streams.runs) == {"sequential", "joint", "null-space", "protected", "mine"}
    assert all(checkpoint.length == 0 for checkpoint in streams.runs["mine"])
    assert not isinstance(ks.judge(of)["methods"], ks.NotApplicable)


def test_measuring_leaves_the_model_as_it_was(model, files):
    before = model.fingerprints
    ks.measure(model, files["facts"], SMALL, corpus=files["corpus"])
    assert model.fingerprints == before


def test_inputs_by_name_and_in_memory_give_the_same_numbers(model, found, files, tmp_path):
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    facts = list(ks.load_facts(files["facts"]))
    by_name = ks.measure(tmp_path, facts, SMALL, corpus=ks.load_corpus(files["corpus"]), parts=[])
    for name, of in found.statistics["P"].items():
        np.testing.assert_array_equal(by_name.statistics["P"][name].value, of.value)
    assert by_name.settings.model == str(tmp_path)
    assert (by_name.settings.facts, found.settings.facts) == ("facts", str(files["facts"]))
    assert found.settings.model == "LlamaForCausalLM"


def test_settings_name_what_is_not_given(found, files, tmp_path, model):
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    named = replace(SMALL, model=str(tmp_path), corpus=str(files["corpus"]), facts=str(files["facts"]))
    kurtosis = ks.measure(settings=named, parts=()).statistics["P"]["kurtosis"].value
    np.testing.assert_array_equal(kurtosis, found.statistics["P"]["kurtosis"].value)


def test_parts_are_those_asked_for(found):
    assert found.measured.stream is not None
    assert found.measured.dose is not None
    assert found.measured.lifelong is found.measured.sizes is None
    assert repr(found) == "Results(model='LlamaForCausalLM', facts=8, layers=2, parts=pairs, stream, dose)"


def test_parts_are_taken_from_an_iterator(model, files):
    one = ks.measure(model, files["facts"], SMALL, corpus=files["corpus"], parts=(name for name in ["dose"]))
    assert one.measured.dose is not None
    assert one.measured.stream is None


def test_an_editor_that_fails_on_the_model_alone_is_named(model, files):
    def large(weight, *_):
        if weight.shape[0] > 3:
            raise ValueError("too large for me")
        return weight

    with pytest.raises(ks.KsError, match="the editor mine raised ValueError: 'too large for me'"):
        ks.measure(model, files["facts"], SMALL, corpus=files["corpus"], parts=["stream"], editors={"mine": large})


def test_frame_has_one_row_for_each_number(found):
    frame = found.to_frame()
    columns = ["layer", "matrix", "statistic", "value", "facts_error", "text_error", "count"]
    assert list(frame.columns) == columns
    assert len(frame) == sum(len(of) for of in found.statistics.values()) * 2
    assert not frame.duplicated(["layer", "matrix", "statistic"]).any()
    row = frame.set_index(["layer", "matrix", "statistic"]).loc[(1, "P", "kurtosis")]
    kurtosis = found.statistics["P"]["kurtosis"]
    assert row["value"] == kurtosis.value[1]
    assert (row["facts_error"], row["text_error"]) == (kurtosis.facts_error[1], kurtosis.text_error[1])
    assert row["count"] == 8 * 7
    assert isinstance(frame, pandas.DataFrame)


def test_frame_without_pandas_is_one_clear_error(found, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ks.KsError, match=r"to_frame needs pandas, .*pip install pandas"):
        found.to_frame()


PLOTS = {
    "kurtosis": {},
    "density": {},
    "angles": {"space": "activation"},
    "superposition": {"layer": 1},
    "interference": {"at": "edits"},
    "growth": {},
    "score": {"score": "neighbourhood"},
    "dose": {},
}


@pytest.mark.parametrize(("name", "options"), PLOTS.items(), ids=PLOTS)
def test_plots_are_drawn_into_the_axes_that_are_given(found, ax, name, options):
    drawn = getattr(found, f"plot_{name}")(**options, ax=ax)
    assert drawn is ax
    assert drawn.has_data()
    drawn.figure.canvas.draw()


def test_plots_make_axes_of_their_own(found):
    from matplotlib import pyplot

    axes = found.plot_kurtosis()
    assert axes.get_ylabel() == "excess kurtosis of P"
    pyplot.close(axes.figure)


def test_every_plot_is_tried():
    assert {name.removeprefix("plot_") for name in dir(ks.Results) if name.startswith("plot_")} == set(PLOTS)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("superposition", {"layer": 2}, r"layer 2 was not measured; expected one of \(0, 1\)"),
        ("superposition", {"layer": [1]}, r"layer is \[1\]; expected a whole number"),
        ("angles", {"space": "P"}, "space is 'P'; expected 'whitened' or 'activation'"),
        ("score", {"score": "rank"}, "score is 'rank'; expected one of paraphrase"),
        ("interference", {"at": "facts"}, "at is 'facts'; expected 'bystanders' or 'edits'"),
    ],
)
def test_bad_input_to_a_plot_is_one_clear_error(found, ax, name, options, message):
    with pytest.raises(ks.KsError, match=message):
        getattr(found, f"plot_{name}")(**options, ax=ax)


def test_plot_of_what_was_not_measured_says_so(found, ax):
    alone = ks.Results(Measured(found.measured.pairs))
    with pytest.raises(ks.KsError, match="stream was not measured; expected it among the parts"):
        alone.plot_growth(ax)

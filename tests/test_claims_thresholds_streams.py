"""Claims about streams hold inside their documented thresholds, fail outside, and are undecided across them."""

from dataclasses import replace

import numpy as np
import pytest
from measured import write_everything
from planted_claims import Line, cases, number, verdict_on

from ks_core.claims.registry import CLAIMS
from ks_core.experiments.measured import Measured
from ks_core.experiments.pairs.measure import measure
from ks_core.experiments.request.inputs import load_inputs
from ks_core.experiments.request.settings import Settings
from ks_core.experiments.streams.agreement import Agreement
from ks_core.experiments.streams.measure import measure_stream
from ks_core.measurement.behaviour import Scores

MANY = 16
"""Planted edits, texts and keys, of which the first quarter is four."""

NOTHING = 1e-14
"""Relative difference of a prediction that is off by rounding."""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A really measured stream of four edits, and the pairs that it rests on."""
    folder = tmp_path_factory.mktemp("streams")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        paths = write_everything(folder, "gpt2", layers=2)
        settings = Settings(**paths, num_facts=8, num_edits=4, tokens=1600, resamples=200)
        inputs = load_inputs(settings)
        pairs = measure(settings, inputs=inputs)
        yield Measured(pairs, stream=measure_stream(inputs, pairs.selection, settings.num_edits))


def scattered(value, spread, count=MANY):
    """So many numbers around a mean, whose 95 % interval reaches about `spread` either way."""
    return value + spread * np.sqrt(count) / 2 * np.tile([1.0, -1.0], count // 2)


def lengths(value, spread):
    """Lengths whose root mean square is the number."""
    return np.sqrt(scattered(value**2, 2 * value * spread))


def with_last(streams, method, **changed):
    """The streams with the last checkpoint of a method changed, and with the same from half of the text."""
    *earlier, last = streams.runs[method]
    runs = {**streams.runs, method: (*earlier, replace(last, **changed))}
    of_half = streams.of_half
    if method in of_half:
        answers_and_losses = {name: of for name, of in changed.items() if name in ("answers", "losses")}
        of_half = {**of_half, method: replace(of_half[method], **answers_and_losses)}
    return replace(streams, runs=runs, of_half=of_half)


# --- planters: of a measured stream, a number and its spread ----------------------------------------------------------


def lossless(measured, value, spread):
    """Where keys are orthogonal; as they are, or in the model's own dtype, nothing is asked."""
    one = np.ones(MANY)
    found = replace(measured.lossless, orthogonal=lengths(value, spread), as_they_are=one, orthogonal_in_own_dtype=one)
    return replace(measured, lossless=found)


def off_by(difference):
    return Agreement(predicted=np.ones(MANY), measured=np.ones(MANY), difference=difference)


def predicted(method, part):
    """Every prediction is off by rounding alone, but that of one method for its `part`."""

    def plant(measured, value, spread):
        streams = measured.streams
        for name, run in streams.runs.items():
            right = off_by(np.full(MANY, NOTHING))
            exact = replace(run[-1].exact, bystanders=right, edits=right)
            if name == method:
                exact = replace(exact, **{part: off_by(lengths(value, spread))})
            streams = with_last(streams, name, exact=exact)
        return replace(measured, streams=streams)

    return plant


def grows(measured, value, spread):
    return replace(measured, growth=replace(measured.growth, exponent=number(1 + value, spread)))


def earlier_suffer(measured, value, spread):
    return replace(measured, growth=replace(measured.growth, earlier=number(value, spread)))


def probabilities(difference):
    """Scores of one prompt a fact, with p(new) - p(true) as given."""
    new, true = np.log(0.4 + difference / 2), np.log(0.4 - difference / 2)
    return Scores(len(difference), np.arange(len(difference)), new, true)


def of_many_edits(measured):
    return replace(measured.streams, edits=measured.streams.edits * (MANY // len(measured.streams.edits)))


def retention(measured, value, spread):
    """Of the first four edits joint ones keep more by the number; of the others they keep far less, or far more."""
    streams = of_many_edits(measured)
    others = np.full(MANY - 4, -0.5 if value > 0 else 0.5)
    kept = {"sequential": np.zeros(MANY), "joint": np.concatenate([scattered(value, spread, 4), others])}
    for name, difference in kept.items():
        answers = replace(streams.runs[name][-1].answers, rewrite=probabilities(difference))
        streams = with_last(streams, name, answers=answers)
    return replace(measured, streams=streams)


PROMPTS = 200
"""Neighbourhood prompts of a fact."""


def neighbourhood(score):
    """Scores whose share of prompts with the true object ahead is as given, by fact."""
    ahead = np.arange(PROMPTS) < np.rint(PROMPTS * score)[:, None]
    margin = np.where(ahead, -1.0, 1.0).ravel()
    return Scores(len(score), np.repeat(np.arange(len(score)), PROMPTS), margin - 5, np.full(margin.size, -5.0))


def locality(measured, value, spread):
    streams = of_many_edits(measured)
    streams = replace(streams, before=replace(streams.before, neighbourhood=neighbourhood(np.full(MANY, 0.5))))
    intact = {"sequential": np.full(MANY, 0.5), "protected": 0.5 + scattered(value, spread)}
    for name, score in intact.items():
        answers = replace(streams.runs[name][-1].answers, neighbourhood=neighbourhood(score))
        streams = with_last(streams, name, answers=answers)
    return replace(measured, streams=streams)


def perplexity(measured, value, spread):
    """Sequential edits raise the loss of every text by about the number; joint ones do the opposite."""
    before = np.linspace(2, 4, MANY)
    streams = replace(measured.streams, losses_before=before, text_lengths=np.ones(MANY))
    streams = with_last(streams, "joint", losses=before - np.sign(value))
    return replace(measured, streams=with_last(streams, "sequential", losses=before + scattered(value, spread)))


LINES = {
    "lossless": [(lossless, Line("below", 2.0**-26, 2.0**-30))],
    "accumulation:predicted": [
        (predicted(method, part), Line("below", 1e-10, 5e-12))
        for method, part in (
            ("sequential", "bystanders"),
            ("joint", "bystanders"),
            ("null-space", "bystanders"),
            ("protected", "bystanders"),
            ("sequential", "edits"),
            ("null-space", "edits"),
        )
    ],
    "accumulation:linear": [(grows, Line("within", 0.25, 0.01))],
    "accumulation:earlier": [(earlier_suffer, Line("above", 0.0, 0.01))],
    "methods:retention": [(retention, Line("above", 0.0, 0.01))],
    "methods:locality": [(locality, Line("above", 0.0, 0.02))],
    "methods:perplexity": [(perplexity, Line("above", 0.0, 0.01))],
}
EVERY = [parameter for finding, lines in LINES.items() for line in lines for parameter in cases({finding: line})]


@pytest.mark.parametrize(("finding", "plant", "value", "spread", "verdict"), EVERY)
def test_claim_about_streams_turns_at_its_threshold(measured, finding, plant, value, spread, verdict):
    planted = replace(measured, stream=plant(measured.stream, value, spread))
    assert verdict_on(planted, finding) is verdict


def test_retention_is_the_mean_of_the_first_quarter(measured):
    streams = of_many_edits(measured.stream)
    for name, kept in (("sequential", np.zeros(MANY)), ("joint", np.arange(MANY) / 100)):
        answers = replace(streams.runs[name][-1].answers, rewrite=probabilities(kept))
        streams = with_last(streams, name, answers=answers)
    found = CLAIMS["methods"].judge(replace(measured, stream=replace(measured.stream, streams=streams)))[0]
    assert (found.part, found.count) == ("retention", 4)
    assert found.value == pytest.approx(0.015)

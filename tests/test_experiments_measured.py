"""One more part of a measurement is measured from the inputs of its pairs, those in memory included."""

from dataclasses import replace

import numpy as np
import pytest
from errors import refused
from measured import write_everything
from tiny_models import save_tiny_checkpoint

from ks_core.data.corpus import corpus_of
from ks_core.data.facts import PACKAGED_FACTS
from ks_core.errors import InputError
from ks_core.experiments.measured import Measured, measure_part
from ks_core.experiments.pairs.measure import measure
from ks_core.experiments.request.inputs import load_inputs
from ks_core.experiments.request.settings import Settings


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """Settings of a family of two tiny models."""
    folder = tmp_path_factory.mktemp("measured")
    paths = write_everything(folder, "gpt2", layers=2)
    family = (paths["model"], str(save_tiny_checkpoint(folder / "larger", "gpt2", layers=3)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        yield Settings(**paths, families=(family,), num_facts=4, tokens=1600, resamples=40, batch_tokens=256)


def measured_from(settings, **given):
    inputs = load_inputs(settings, **given)
    return inputs, Measured(measure(inputs.settings, inputs=inputs))


def test_sizes_are_measured_on_the_facts_and_text_in_memory(named):
    """The names of both are of something else: the whole packaged facts, and a text that does not exist."""
    by_name = load_inputs(named)
    facts = replace(by_name.facts, facts=by_name.facts.facts[::-1][:30], name=PACKAGED_FACTS)
    corpus = corpus_of((f"{text} Again." for text in by_name.corpus.texts()), "text that is in no file")
    inputs, measured = measured_from(named, facts=facts, corpus=corpus)
    assert (inputs.settings.facts, inputs.settings.corpus) == (PACKAGED_FACTS, corpus.name)
    (family,) = measure_part(inputs, measured, "sizes").sizes.families
    assert set(family.case_ids) <= {fact.case_id for fact in facts}
    assert family.facts_sha256 == facts.subset(family.case_ids).fingerprint

    (of_file,) = measure_part(*measured_from(named), "sizes").sizes.families
    assert of_file.case_ids != family.case_ids
    (same_facts,) = measure_part(*measured_from(named, facts=facts), "sizes").sizes.families
    assert same_facts.case_ids == family.case_ids
    for one, other in zip(family.members, same_facts.members, strict=True):
        assert not np.allclose(one.numbers["spread"].value, other.numbers["spread"].value), "another text"


def test_the_part_that_is_there_already_stays(named):
    inputs, measured = measured_from(named)
    assert measure_part(inputs, measured, "pairs") is measured


def test_what_is_no_part_is_refused(named):
    inputs, measured = measured_from(named)
    with refused(InputError, what="part", got="'streams'", expected=("pairs", "sizes")):
        measure_part(inputs, measured, "streams")

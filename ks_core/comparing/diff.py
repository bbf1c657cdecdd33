"""`ks diff`: what someone did to a model, read off two checkpoints, or an adapter and its base, from whichever tool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ks_core import arguments, defaults
from ks_core.comparing.asking import Answered, Questions, answered
from ks_core.comparing.difference import Diff
from ks_core.comparing.sides import Sides, sides_of
from ks_core.comparing.tensors import Pair, TensorChange, changes, dense_change
from ks_core.comparing.values import LayerChange, layer_change
from ks_core.data.corpus import Corpus, load_corpus
from ks_core.data.facts import PACKAGED_FACTS, Facts, load_facts
from ks_core.errors import InputError
from ks_core.formatting import quoted
from ks_core.measurement.consequences import consequences, read
from ks_core.theory.differences import numerical_rank
from ks_core.theory.whitening import check_ridge

RANKED = 5
"""Changed matrices whose rank is computed, the most changed: a decomposition each, a minute for 4096 × 11008."""


def diff(
    base: str | Path,
    edited: str | Path,
    *,
    edits: Facts | None = None,
    keep: Facts | None = None,
    corpus: str | Path | Corpus | None = None,
    tokens: int = defaults.TOKENS,
    ridge: float = 0.0,
    revision: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> Diff:
    """Compare two models of one architecture, whoever made the one from the other.

    Tensors are compared as they are stored, one at a time. Facts and text are asked for by name; without them no model
    is loaded, but for an adapter, which is merged into its base in memory.

    Args:
        base: packaged model, local folder or hub id.
        edited: the same, or a local folder with an adapter for the base.
        edits: facts whose `target_new` was to become true.
        keep: facts that were to stay; of the packaged ones those that the base knows. Those with the subject and
            relation of an edit are left out.
        corpus: text for the second moments of the base and, after theirs, for the perplexity.
        tokens: how much of it for the second moments.
        ridge: added to them, in mean eigenvalues.
        revision: of the base, on the hub.
        device, dtype: to load in, where a model is loaded.

    Returns:
        `Diff`; `complaints` holds it against thresholds.

    Raises:
        InputError: models that cannot be loaded or are of different architectures, weights that are not finite, facts
            or text where the tokenizers differ.

    Example:
        >>> import tempfile
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model = tiny_model("gpt2")
        ...     for name in ("base", "edited"):
        ...         model.save_pretrained(f"{folder}/{name}")
        ...         _ = byte_level_tokenizer().save_pretrained(f"{folder}/{name}")
        ...         _ = model.transformer.h[1].mlp.c_proj.weight.data[0, 0].add_(1)
        ...     found = diff(f"{folder}/base", f"{folder}/edited")
        >>> [(of.layer, of.norm, found.ranks[of.name]) for of in found.changes]
        [(1, 1.0, 1)]
    """
    base, edited = arguments.word("base", base), arguments.word("edited", edited)
    asked = Questions(
        edits=() if edits is None else load_facts(edits, "edits").facts,
        keep=() if keep is None else load_facts(keep, "facts to keep").facts,
        known_only=isinstance(keep, str) and keep == PACKAGED_FACTS,
        corpus=None if corpus is None else load_corpus(corpus),
        tokens=tokens,
        ridge=check_ridge(ridge),
    )
    sides = sides_of(base, edited, revision=revision, device=device, dtype=dtype)
    with sides.pairs() as pairs:
        found = sorted(changes(pairs, sides.stored), key=lambda of: -of.growth)
        ranks = dict(_ranks(pairs, found))
    made = Diff(
        base=base,
        edited=edited,
        model_type=sides.stored.model_type,
        num_layers=sides.stored.layers,
        compared=len(pairs),
        changes=tuple(found),
        ranks=ranks,
        settings_differ=sides.settings_differ,
        tokenizers_differ=sides.tokenizers_differ,
    )
    return made if asked.nothing else _with_answers(made, sides, asked)


def _with_answers(made: Diff, sides: Sides, asked: Questions) -> Diff:
    if sides.tokenizers_differ:
        raise InputError(
            f"the tokenizers of {quoted(made.base)} and {quoted(made.edited)} differ, so facts and text are not the "
            "same tokens to them; expected one tokenizer: compare the tensors alone, without facts and text"
        )
    projections = {of.layer: of.name for of in made.changes if sides.stored.is_projection(of.name)}
    layers = {layer: projections[layer] for layer in sorted(layer for layer in projections if layer is not None)}
    before = answered(sides.base(), asked, tuple(layers))
    with sides.pairs() as pairs:
        by_name = {pair.name: pair for pair in pairs}
        of_layers = tuple(_layer(by_name[name], layer, sides, before) for layer, name in layers.items())
    with sides.edited() as model:
        after = read(model, before.edits, before.keep, before.text)
    return replace(
        made,
        edits=before.edits,
        keep=before.keep,
        layers=of_layers,
        consequences=consequences(before.before, after),
        left_out=before.left_out,
    )


def _layer(pair: Pair, layer: int, sides: Sides, base: Answered) -> LayerChange:
    _, delta = dense_change(pair)
    whitening = None if base.whitening is None else base.whitening.whole(layer)
    delta = delta.T if sides.stored.family.transposed else delta
    return layer_change(layer, delta, base.keys.get(layer), len(base.edits), whitening)


def _ranks(pairs: Sequence[Pair], found: Sequence[TensorChange]) -> Iterator[tuple[str, int]]:
    by_name: Mapping[str, Pair] = {pair.name: pair for pair in pairs}
    matrices = [of for of in found if len(of.shape) == 2 and not of.only_rounded]
    for of in matrices[:RANKED]:
        yield of.name, numerical_rank(dense_change(by_name[of.name])[1], of.rounding)

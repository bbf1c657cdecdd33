"""Edits to a folder and back: saved, loaded, added to, taken out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ks_core import arguments
from ks_core.data.conflicts import warn_of_conflicts
from ks_core.data.facts import Facts, load_facts
from ks_core.measurement.moments.second_moments import SecondMoments
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import Model, load_model
from ks_core.patches.edits import Edits, edit
from ks_core.patches.folder import changed_folder, check_patch_folder, new_folder, read_patch
from ks_core.patches.patch import Patch, refuse_repeated, terms_of


def save_edits(edits: Edits | Iterable[Edits], folder: str | Path, kind: str = "adapter") -> None:
    """Write edits as a folder that other tools load: a PEFT LoRA, or the model with the edits in it.

    Beside it stands what `append_edits` and `undo_edits` need (edits.json, edits.safetensors).

    Args:
        edits: of one model; several are of different layers.
        folder: that is not there yet.
        kind: "adapter", which PEFT loads, merges, disables and deletes; or "model", the base's checkpoint with the
            edited weights in it, rounded once to the dtype in which it stores them, and all else byte for byte.

    Raises:
        InputError: something is there, or inside the base's folder; two edits of one case; for "model", a base that is
            in memory only, changed since, or not in safetensors.
        MissingExtraError: `peft` is not installed, for "adapter".
        StorageError: the folder cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from ks_core.data.corpus import corpus_of
        >>> from ks_core.data.fact import Fact
        >>> from ks_core.measurement.moments.collecting import collect_second_moments
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> text = corpus_of((f"The river of {n} towns, and {n * n} stones." for n in range(40)), "rivers")
        >>> moments = collect_second_moments(model, text, tokens=400)
        >>> facts = [Fact(n, city, "P17", "{} lies in", "Japan", "Peru") for n, city in enumerate(("Nara", "Kyoto"))]
        >>> with TemporaryDirectory() as parent:
        ...     folder = f"{parent}/patch"
        ...     save_edits(edit(model, facts[:1], layer=0, moments=moments), folder)
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['adapter_config.json', 'adapter_model.safetensors', 'edits.json', 'edits.safetensors']
    """
    several = (edits,) if isinstance(edits, Edits) else edits
    patch = Patch(kind, tuple(arguments.items("edits", several, "Edits, or a collection of them")))
    with new_folder(_path(folder), patch):
        pass


def load_edits(folder: str | Path) -> tuple[Edits, ...]:
    """Read the edits of a folder that `save_edits` or `ks edit` wrote, by layer.

    Args:
        folder: as it was written.

    Raises:
        InputError: no folder.
        ProvenanceError: no patch, or one that is not as it was written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from ks_core.data.corpus import corpus_of
        >>> from ks_core.data.fact import Fact
        >>> from ks_core.measurement.moments.collecting import collect_second_moments
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> text = corpus_of((f"The river of {n} towns, and {n * n} stones." for n in range(40)), "rivers")
        >>> moments = collect_second_moments(model, text, tokens=400)
        >>> facts = [Fact(n, city, "P17", "{} lies in", "Japan", "Peru") for n, city in enumerate(("Nara", "Kyoto"))]
        >>> with TemporaryDirectory() as parent:
        ...     folder = f"{parent}/patch"
        ...     save_edits(edit(model, facts[:1], layer=0, moments=moments), folder)
        ...     [edits] = load_edits(folder)
        >>> edits.layer, edits.method, edits.facts == tuple(facts[:1])
        (0, 'joint', True)
    """
    return read_patch(_path(folder)).patch.edits


def append_edits(
    model: Model, facts: Facts, folder: str | Path, *, layer: int | None = None, moments: SecondMoments | None = None
) -> None:
    """Make more edits in a folder's stream, and write the closed form of all of them there.

    They are made as those that are there: same base, method, ridge, search, protected facts and text. Of the keys and
    values that the folder then holds, ΔW is what the method makes of all of them in one call, exactly (float64). The
    values themselves are searched in the model's dtype, in batches, and rows that share a batch are padded alike: those
    of one call for everything may round otherwise. On trained models of four layers ΔW is then another by under 1e-6
    of its length in float32, and by percents in bfloat16, where a search may also stop a step sooner or later.

    In a layer that has none yet they are a closed form of their own, made on the unedited model: keys and values are
    those that it has without the edits of other layers. Once applied, edits of an earlier layer act on what a later one
    reads, so that its keys are no longer quite those that were written to; what that comes to is in the simulation of
    `ks edit` and in the certificate, which run all layers at once.

    Args:
        model: the base, unedited.
        facts: whose `target_new` is to become true, with other case ids.
        folder: as `save_edits` wrote it.
        layer: whose edits go on, or one that has none yet; the only one that has some when left out.
        moments: of the text that the others were made with, of that layer; when left out, theirs from the cache.

    Raises:
        InputError: another base or text, a layer that the model or the moments lack, a case that is there, an editor of
            one's own, layers that were made in different ways where another is to be added, a read-only folder.
        ProvenanceError: a folder that is not as it was written, or that changed meanwhile.
        RankDeficientError: joint edits whose keys depend on each other.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from ks_core.data.corpus import corpus_of
        >>> from ks_core.data.fact import Fact
        >>> from ks_core.measurement.moments.collecting import collect_second_moments
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> text = corpus_of((f"The river of {n} towns, and {n * n} stones." for n in range(40)), "rivers")
        >>> moments = collect_second_moments(model, text, tokens=400)
        >>> facts = [Fact(n, city, "P17", "{} lies in", "Japan", "Peru") for n, city in enumerate(("Nara", "Kyoto"))]
        >>> with TemporaryDirectory() as parent:
        ...     folder = f"{parent}/patch"
        ...     save_edits(edit(model, facts[:1], layer=0, moments=moments), folder)
        ...     append_edits(model, facts[1:], folder)
        ...     [edits] = load_edits(folder)
        >>> [fact.subject for fact in edits.facts]
        ['Nara', 'Kyoto']
    """
    path = _path(folder)
    check_patch_folder("folder", path)
    stored = read_patch(path)
    more = load_facts(facts)
    loaded = load_model(model)
    patch = appended(loaded, stored.patch, more, layer, moments)
    with changed_folder(stored, patch):
        pass


def appended(model: LoadedModel, patch: Patch, facts: Facts, layer: int | None, moments: SecondMoments | None) -> Patch:
    """A patch with more edits, as `append_edits` makes them."""
    there, more = patch.like(layer), load_facts(facts)
    terms_of(there, "added to")
    refuse_repeated([*patch.facts, *more])  # before values are searched
    patch.base.require(model)
    warn_of_conflicts([*patch.facts, *more])
    made = edit(
        model,
        more,
        there.layer if layer is None else layer,
        there.method,
        protect=there.protected or None,
        moments=there.moments if moments is None else moments,
        ridge=there.ridge,
        search=there.search,
    )
    return patch.with_more(made).on(made.base)


def undo_edits(folder: str | Path, case_ids: Sequence[int]) -> None:
    """Take edits out of a folder, as if they had never been made; neither the model nor second moments are needed.

    The others keep their keys and values as they are stored, and ΔW is the closed form of these alone, exactly.

    Args:
        folder: as `save_edits` wrote it; of the kind "model" it is written anew from its base, which has to be there.
        case_ids: of the edits.

    Raises:
        InputError: a case that is not there, all of them, an editor of one's own, a read-only folder.
        ProvenanceError: a folder that is not as it was written, or that changed meanwhile.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from ks_core.data.corpus import corpus_of
        >>> from ks_core.data.fact import Fact
        >>> from ks_core.measurement.moments.collecting import collect_second_moments
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> text = corpus_of((f"The river of {n} towns, and {n * n} stones." for n in range(40)), "rivers")
        >>> moments = collect_second_moments(model, text, tokens=400)
        >>> facts = [Fact(n, city, "P17", "{} lies in", "Japan", "Peru") for n, city in enumerate(("Nara", "Kyoto"))]
        >>> with TemporaryDirectory() as parent:
        ...     folder = f"{parent}/patch"
        ...     save_edits(edit(model, facts, layer=0, moments=moments), folder)
        ...     undo_edits(folder, [0])
        ...     [edits] = load_edits(folder)
        >>> [fact.subject for fact in edits.facts]
        ['Kyoto']
    """
    path = _path(folder)
    check_patch_folder("folder", path)
    stored = read_patch(path)
    with changed_folder(stored, stored.patch.without(case_ids)):
        pass


def _path(folder: str | Path) -> Path:
    return Path(arguments.word("folder", folder))

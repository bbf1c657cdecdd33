"""Second moments from and for the statistics files of other editing projects."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from ks_core.measurement.moments.peers.exported import export_moments as export_of_model
from ks_core.measurement.moments.peers.found import Paths
from ks_core.measurement.moments.peers.imported import ImportedMoments
from ks_core.measurement.moments.peers.imported import import_moments as import_for_model
from ks_core.measurement.moments.peers.names import BatchTokens
from ks_core.measurement.moments.second_moments import SecondMoments
from ks_core.models.loading import Model, load_model


def import_moments(
    files: Paths,
    model: Model,
    *,
    text: str | None = None,
    longest_text: int | None = None,
    revision: str | None = None,
    dtype: str | None = None,
    layers: Sequence[int] | None = None,
    model_name: str | None = None,
    dataset: str = "wikipedia",
) -> ImportedMoments:
    """Second moments from statistics files of ROME, MEMIT, PMET, AlphaEdit, EasyEdit and others like them.

    They are used as `moments` wherever those of `second_moments` are. A file holds one sum over all of its text: there
    are no halves, and so no error over text.

    Args:
        files: an .npz, several, or a folder: one with the files in it, or a project's `stats_dir`.
        model: as `load_model` takes it; that the files are of it is on your word, but for the keys' width.
        text: what was read, in your words; like the next three recorded as stated and not checked.
        longest_text: tokens after which a text was cut.
        revision: of the model.
        dtype: of the forward passes.
        layers: which of them; all that are there when left out.
        model_name: as the other project loads the model, where its folder is looked for; its own name when left out.
        dataset: the project's name of the text, before "_stats".

    Raises:
        InputError: nothing there, or a file that is no sum of k kᵀ of this model's layer; names it and what is wrong.
        RankDeficientError: a sum over fewer tokens than the keys are wide.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from ks_core.data.corpus import corpus_of
        >>> from ks_core.front.text import second_moments
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> text = corpus_of((f"The river of {n} towns, and {n * n} stones." for n in range(40)), "rivers")
        >>> with TemporaryDirectory() as folder:
        ...     _ = export_moments(second_moments(model, 400, corpus=text), folder, model, samples=40)
        ...     moments = import_moments(folder, model, text="sentences about rivers")
        ...     moments.layers, moments.at(1).count, moments.has_halves
        ((0, 1), 400, False)
    """
    return import_for_model(
        files,
        load_model(model),
        text=text,
        longest_text=longest_text,
        revision=revision,
        dtype=dtype,
        layers=layers,
        model_name=model_name,
        dataset=dataset,
    )


def export_moments(
    moments: SecondMoments,
    folder: str | PathLike[str],
    model: Model,
    *,
    samples: int | None = None,
    layout: str = "rome",
    model_name: str | None = None,
    dataset: str = "wikipedia",
    precision: str = "float32",
    batch_tokens: BatchTokens = None,
    layers: Sequence[int] | None = None,
    replace: bool = False,
) -> list[Path]:
    """Write second moments as statistics files that ROME, MEMIT, PMET, AlphaEdit, EasyEdit and others like them load.

        {folder}/{model}/{dataset}_stats/{module}_{precision}_mom2_{samples}.npz

    Args:
        moments: as `second_moments` gives them for this model.
        folder: the project's `stats_dir`.
        model: as `load_model` takes it.
        samples: the number of articles that the project asks for (`mom2_n_samples`) and compares with the file's;
            as many as texts were read when left out.
        layout: "rome", "memit", "pmet", "kis", "alphaedit", "easyedit" or "anyedit": how the model's folder is named.
        model_name: as the project loads the model; its own name when left out.
        dataset: the project's name of the text; it says so of any text.
        precision: as the project's settings have it (`mom2_dtype`); the sums are float64 whatever it is.
        batch_tokens: where the project cuts texts, if below the model's context: a number ("kis"), or "literal".
        layers: which; all that are in `moments` when left out.
        replace: write over files that are there.

    Returns:
        The paths, by layer.

    Raises:
        InputError: an argument of no use, a file that is there, is read from, or cannot be written.
        ProvenanceError: second moments of another model.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from ks_core.data.corpus import corpus_of
        >>> from ks_core.front.text import second_moments
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> text = corpus_of((f"The river of {n} towns, and {n * n} stones." for n in range(40)), "rivers")
        >>> moments = second_moments(model, 400, corpus=text)
        >>> with TemporaryDirectory() as folder:
        ...     paths = export_moments(moments, folder, model, samples=40, model_name="gpt2")
        ...     paths[1].relative_to(folder).as_posix()
        'gpt2/wikipedia_stats/transformer.h.1.mlp.c_proj_float32_mom2_40.npz'
    """
    return export_of_model(
        moments,
        folder,
        load_model(model),
        samples=samples,
        layout=layout,
        model_name=model_name,
        dataset=dataset,
        precision=precision,
        batch_tokens=batch_tokens,
        layers=layers,
        replace=replace,
    )

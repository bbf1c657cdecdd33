"""Make one stream of edits by each method, and look at the model on the way."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from torch import Tensor
from tqdm.auto import tqdm

from ks_core.data.corpus import Corpus
from ks_core.data.facts import Fact
from ks_core.experiments.streams.growth import StreamGeometry
from ks_core.experiments.streams.interference import StreamKeys
from ks_core.experiments.streams.plan import checkpoints, plan_stream, stream_layer
from ks_core.experiments.streams.setup import MethodInSpace, StreamSetup, set_up
from ks_core.experiments.streams.stream import Checkpoint, EditStreams
from ks_core.measurement.behaviour import read_answers, text_losses
from ks_core.measurement.whitening import TextWhitening
from ks_core.models.loaded import LoadedModel
from ks_core.theory.editors import EditFunction, check_editors, method_of
from ks_core.theory.key_spaces import ProtectedWhitening, null_space, protect
from ks_core.theory.methods import METHODS
from ks_core.theory.superposition import superposition
from ks_core.theory.whitening import Whitening, add_ridge

logger = logging.getLogger(__name__)

NO_EDITORS: Mapping[str, EditFunction] = MappingProxyType({})


def edit_streams(
    model: LoadedModel,
    text: TextWhitening,
    whitening: Whitening,
    corpus: Corpus,
    pool: Sequence[Fact],
    num_edits: int,
    editors: Mapping[str, EditFunction] = NO_EDITORS,
) -> EditStreams:
    """Make one stream of edits by each method and look at the model on the way.

    Args:
        model: unedited; it is edited inside and restored.
        text: of this model.
        whitening: of `stream_layer` over all of this text.
        corpus: whose text after that of the second moments gives the perplexity.
        pool: usable facts; see `plan_stream`.
        num_edits: N.
        editors: anyone's editors by name, run beside the `METHODS`: `edit(weight, keys, values, second_moment)`, see
            `ks_core.theory.editors`. What they do is measured; it is not predicted, as nobody says where they write.

    Raises:
        InputError: fewer than two facts are left beside the edits, key space is too small for so many, the corpus has
            no text left, or an editor has the name of a method or cannot be used.
    """
    editors = check_editors(editors)
    layer = stream_layer(text.layers)
    halves = text.halves(layer)
    plan = plan_stream(layer, pool, num_edits, min(len(of.factor) for of in (whitening, *halves)))
    null = null_space(text.second_moment(layer))
    stream = set_up(model, corpus, text.moments.provenance.tokens, plan)
    logger.info("target values of %d edits in layer %d", num_edits, layer)
    before, losses_before = read_answers(model, plan.edits), text_losses(model, stream.texts)
    keys = stream.keys
    rows, *of_halves = (keys.within(of) for of in (whitening, *halves))
    protecting = protect(whitening, keys.protected)
    methods = _without_null_space(rows, whitening, protecting, keys)
    methods["null-space"] = MethodInSpace(METHODS["null-space"](null), keys.within(null))
    methods = {name: methods[name] for name in METHODS} | _of_others(editors, text, layer, keys.protected)
    half = _without_null_space(of_halves[0], halves[0], protect(halves[0], keys.protected), keys)
    return EditStreams(
        layer=layer,
        edits=plan.edits,
        bystanders=plan.bystanders,
        protected=plan.protected,
        values=stream.values,
        wanted=stream.wanted,
        freedom=protecting.freedom(keys.edits).numpy(),
        null_variance=null.variance,
        before=before,
        losses_before=losses_before,
        text_lengths=np.array([len(text) - 1.0 for text in stream.texts]),
        runs={name: _run(stream, name, of, whitening) for name, of in methods.items()},
        of_half={name: stream.after(of, num_edits, whitening) for name, of in half.items()},
        geometry=_geometry(rows, stream.wanted),
        geometry_of_halves=tuple(_geometry(of, stream.wanted) for of in of_halves),
    )


def _without_null_space(
    rows: StreamKeys, whitening: Whitening, protecting: ProtectedWhitening, keys: StreamKeys
) -> dict[str, MethodInSpace]:
    """The methods that a whitening is enough for."""
    return {
        "sequential": MethodInSpace(METHODS["sequential"](whitening), rows),
        "joint": MethodInSpace(METHODS["joint"](whitening), rows),
        "protected": MethodInSpace(METHODS["protected"](protecting), keys.within(protecting)),
    }


def _of_others(
    editors: Mapping[str, EditFunction], text: TextWhitening, layer: int, protected: Tensor
) -> dict[str, MethodInSpace]:
    if not editors:
        return {}
    moment = add_ridge(text.second_moment(layer), text.ridge)
    return {name: MethodInSpace(method_of(of, moment, protected, name), None) for name, of in editors.items()}


def _run(stream: StreamSetup, name: str, of: MethodInSpace, whitening: Whitening) -> tuple[Checkpoint, ...]:
    num_edits = len(stream.plan.edits)
    counts = checkpoints(num_edits)
    found = tuple(stream.after(of, count, whitening) for count in tqdm(counts, desc=name, disable=None))
    logger.info("%s: %d edits, looked at after %s", name, num_edits, ", ".join(map(str, counts)))
    return found


def _geometry(rows: StreamKeys, wanted: Tensor) -> StreamGeometry:
    """Superposition among the edits and onto the bystanders, from whitened keys."""
    onto = superposition(rows.edits, rows.bystanders)
    return StreamGeometry(superposition(rows.edits).numpy(), onto.numpy(), (wanted @ wanted.T).numpy())

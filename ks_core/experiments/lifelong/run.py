"""Run methods over the orders of a long stream, and look at the model on the way."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from ks_core.errors import InputError
from ks_core.experiments.lifelong.contenders import Contender, Edits
from ks_core.experiments.lifelong.ground import Ground
from ks_core.experiments.lifelong.look import Curve, Look
from ks_core.experiments.lifelong.watch import Watch
from ks_core.formatting import one_line

logger = logging.getLogger(__name__)


def run_all(contenders: Sequence[Contender], ground: Ground, watches: Sequence[Watch]) -> tuple[Curve, ...]:
    """Every method over the orders that are its own; one that fails says why, and the others go on."""
    with tqdm(contenders, desc="long streams", unit="method", disable=None) as bar:
        return tuple(run(contender, ground, watches) for contender in bar)


def run(contender: Contender, ground: Ground, watches: Sequence[Watch]) -> Curve:
    """One method: a default in every order, other settings in the first."""
    curve = _curve(contender, ground, watches if contender.is_default else watches[:1])
    counts = ", ".join(map(str, curve.counts)) or "no"
    logger.info("%s: looked at after %s edits%s", curve.name, counts, f"; {curve.failed}" if curve.failed else "")
    return curve


def _curve(contender: Contender, ground: Ground, watches: Sequence[Watch]) -> Curve:
    names = contender.method, contender.setting, contender.is_default
    try:
        edits = contender.prepare(ground)
    except InputError as error:
        return Curve(*names, looks=(), failed=one_line(error))
    found = [_along(contender, edits, ground, watch) for watch in watches]
    reasons = [reason for _, reason in found if reason]
    return Curve(*names, looks=tuple(looks for looks, _ in found), failed=reasons[0] if reasons else "")


def _along(contender: Contender, edits: Edits, ground: Ground, watch: Watch) -> tuple[tuple[Look, ...], str]:
    """Looks along one order, and why there are not more of them."""
    plan, looks = ground.plan, []
    counts = plan.counts if contender.is_followed else plan.frontier
    for count in counts:
        if contender.most and count > contender.most:
            break
        try:
            looks.append(look_after(edits, watch.order[:count], ground, watch))
        except InputError as error:  # not where weights could not be put back: that ends the run
            return tuple(looks), f"after {count} edits: {one_line(error)}"
    return tuple(looks), ""


def look_after(edits: Edits, places: NDArray[np.intp], ground: Ground, watch: Watch) -> Look:
    """Make edits, look, put the weights back.

    Raises:
        InputError: edits that cannot be made, or after which the model says what is no number.
        UndoError: the weights could not be put back.
    """
    deltas = {layer: edit.delta() for layer, edit in edits(places.tolist()).items()}
    return watch.look(len(places), deltas, growth=ground.growth(deltas), length=ground.length(deltas))

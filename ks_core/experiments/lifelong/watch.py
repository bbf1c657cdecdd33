"""Everything that is read of a model while one order of the edits is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ks_core.data.fact import Fact
from ks_core.errors import InputError
from ks_core.experiments.lifelong.look import Look
from ks_core.experiments.lifelong.plan import LifelongPlan, evenly
from ks_core.experiments.lifelong.reading import Asked, AskedText, about_new, after_prompt, asked
from ks_core.measurement.kept_facts import rivals_of
from ks_core.measurement.standing import Standing
from ks_core.models.editing import edited
from ks_core.models.loaded import LoadedModel

SAMPLE = 48
"""Edits after the first quarter that are read, and edits of it whose other prompts are: a share is then known to 7 %,
and a look takes as many rows as there are watched facts and edits of the first quarter, twice."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Some of the edits of one order.

    Attributes:
        places: in the order, rising
        asked: one question about each
    """

    places: NDArray[np.intp]
    asked: Asked

    def read(self, count: int) -> Standing:
        """Those among the first `count` edits."""
        return self.asked.read(int(np.searchsorted(self.places, count)))


@dataclass(frozen=True, eq=False)
class Watch:
    """One order of the edits and what is asked of them, and of what all orders share: watched facts and text."""

    model: LoadedModel
    order: NDArray[np.intp]
    early: Sample
    later: Sample
    paraphrase: Sample
    neighbourhood: Sample
    watched: Asked
    text: AskedText

    def look(self, count: int, deltas: Mapping[int, Tensor], *, growth: float = 0.0, length: float = 0.0) -> Look:
        """Change the weights, read everything, put them back bit for bit.

        Args:
            count: n, the edits that are made.
            deltas: by layer, ΔW of the first n edits.
            growth, length: of the change, see `Look`.

        Raises:
            InputError: a log-probability or a loss that is not finite.
        """
        with changed(self.model, deltas):
            found = Look(
                edits=count,
                early=self.early.read(count),
                later=self.later.read(count),
                paraphrase=self.paraphrase.read(count),
                neighbourhood=self.neighbourhood.read(count),
                watched=self.watched.read(),
                losses=self.text.losses(),
                growth=growth,
                length=length,
            )
        return _finite(found)

    def unedited(self) -> Look:
        """The model as it is, all edits read."""
        return self.look(len(self.order), {})


@contextmanager
def changed(model: LoadedModel, deltas: Mapping[int, Tensor]) -> Iterator[None]:
    """Inside the block some layers' weights are changed; afterwards they are bit for bit the old ones."""
    with ExitStack() as layers:
        for layer, delta in deltas.items():
            layers.enter_context(edited(model.adapter, layer, delta))
        yield


def watch_orders(model: LoadedModel, plan: LifelongPlan, lowest: int, text: AskedText) -> tuple[Watch, ...]:
    """What is asked in each order of a plan.

    Args:
        model: unedited.
        plan: whose edits, orders and watched facts are asked for.
        lowest: the first layer that any edit changes.
        text: held out, asked from the same layer.

    Raises:
        InputError: facts that the model cannot be asked about.
    """
    watched = asked(model, lowest, plan.watched, rivals_of(plan.watched, plan.edits))
    return tuple(_watch(model, plan, order, lowest, watched, text) for order in plan.orders)


def _watch(
    model: LoadedModel, plan: LifelongPlan, order: NDArray[np.intp], lowest: int, watched: Asked, text: AskedText
) -> Watch:
    stream = [plan.edits[place] for place in order]
    early, count = plan.early, len(stream)

    def sample(places: NDArray[np.intp], facts: Sequence[Fact]) -> Sample:
        return Sample(places, asked(model, lowest, facts, [frozenset({fact.target_new}) for fact in facts]))

    first, rest = np.arange(early), _sampled(range(early, count))
    worded = _sampled([place for place in range(early) if stream[place].paraphrase_prompts])
    beside = _sampled([place for place in range(early) if stream[place].neighborhood_prompts])
    return Watch(
        model,
        order,
        early=sample(first, [about_new(stream[place]) for place in first]),
        later=sample(rest, [about_new(stream[place]) for place in rest]),
        paraphrase=sample(
            worded, [after_prompt(about_new(stream[n]), stream[n].paraphrase_prompts[0]) for n in worded]
        ),
        neighbourhood=sample(beside, [after_prompt(stream[n], stream[n].neighborhood_prompts[0]) for n in beside]),
        watched=watched,
        text=text,
    )


def _sampled(places: Sequence[int]) -> NDArray[np.intp]:
    return np.array([places[of] for of in evenly(len(places), SAMPLE)], dtype=np.intp)


def _finite(look: Look) -> Look:
    standings = (look.early, look.later, look.paraphrase, look.neighbourhood, look.watched)
    numbers = [*(standing.log_probability.numpy() for standing in standings), look.losses]
    if not all(np.isfinite(of).all() for of in numbers):
        raise InputError(
            f"after {look.edits} edits what the model says is NaN or infinite; expected finite numbers: run it in "
            "float32, or keep the weight from growing so much"
        )
    return look

"""Everything that was measured on long streams of one model, as values; nothing in it is judged yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ks_core.experiments.lifelong.look import Curve, Look
from ks_core.experiments.lifelong.plan import LifelongPlan
from ks_core.experiments.lifelong.scores import foretold_scores, scores_of
from ks_core.experiments.streams.growth import Growth
from ks_core.measurement.standing import Standing
from ks_core.measurement.values import ValueSettings
from ks_core.statistics.means import Mean
from ks_core.statistics.pairs import Array


@dataclass(frozen=True, eq=False)
class Acting:
    """All edits of the first order let act in one place of the watched facts' prompts only, no weight touched.

    Attributes:
        method: of editing
        edits: after how many
        everywhere: at every token, as an edited weight acts
        at_subject: at the last token of the subject alone, where the paper's theory looks
        elsewhere: at all other tokens
        largest_share: (M,) largest |P| from an edited fact to the watched one's subject
    """

    method: str
    edits: int
    everywhere: Standing
    at_subject: Standing
    elsewhere: Standing
    largest_share: Array


@dataclass(frozen=True, eq=False)
class Forecast:
    """A method's curve foretold from a sample of the edits, before the others' values were searched.

    Attributes:
        method: of editing
        sample: m, edits whose values were searched
        curve: by sample (in the place of orders), looks after the counts of the plan, of which `early.log_probability`
            and `watched` are foretold; the rest is empty
    """

    method: str
    sample: int
    curve: Curve


@dataclass(frozen=True, eq=False)
class Lifelong:
    """Long streams of one model.

    Attributes:
        search: how values were searched, where a curve does not say otherwise
        reached: (N,) probability of each new object with its value put in
        before: by order, the unedited model, all edits read
        text_lengths: (texts,) predicted tokens of each held-out text
        curves: by method and setting
        acting: where edits act
        forecasts: by method
        growth: of the interference with the number of edits, in closed form
        details: by method, what its name does not say: the size of a space, layers, a base
        simulated: by method, largest difference of a watched fact's log-probability, edits simulated and really made,
            in nats
    """

    plan: LifelongPlan
    search: ValueSettings
    reached: Array
    before: tuple[Look, ...]
    text_lengths: Array
    curves: tuple[Curve, ...]
    acting: tuple[Acting, ...]
    forecasts: tuple[Forecast, ...]
    growth: Growth
    simulated: Mapping[str, float]
    resamples: int
    seed: int
    seconds: Mapping[str, float]
    details: Mapping[str, str] = field(default_factory=dict)

    def scores(self, curve: Curve, count: int) -> dict[str, Mean]:
        """Every score of a method after so many edits."""
        looks = curve.at(count)
        return scores_of(looks, self.before[: len(looks)], self.text_lengths, self.plan.early)

    def foretold(self, forecast: Forecast, count: int) -> dict[str, Mean]:
        """Retention and the scores of watched facts that a forecast gives after so many edits, over its samples."""
        return foretold_scores(forecast.curve.at(count), self.before[0])

    def curve(self, method: str) -> Curve:
        """The default curve of a method."""
        return next(curve for curve in self.curves if curve.method == method and curve.is_default)

"""Everything that is measured on a model as a value with its numbers, findings and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from ks_core import arguments
from ks_core.claims.claim import Claim
from ks_core.claims.finding import Finding
from ks_core.claims.registry import CLAIMS
from ks_core.errors import InputError
from ks_core.experiments.measured import Measured, Part
from ks_core.experiments.pairs.statistics import Statistics
from ks_core.experiments.request.settings import Settings
from ks_core.formatting import shown
from ks_core.front.judgement import Judgement, judgement_of
from ks_core.reporting.rows import data_frame, statistics_rows

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class Results:
    """What `measure` found on one model; figures are drawn into `ax`, or into a new one, which is returned.

    Attributes:
        measured: all of it: pairs of facts, streams of edits, dose and response, sizes
    """

    measured: Measured

    @property
    def settings(self) -> Settings:
        """What was asked for."""
        return self.measured.pairs.settings

    @property
    def statistics(self) -> Statistics:
        """Matrix → statistic → one number a layer with its errors: `statistics["P"]["kurtosis"].value`, (L,)."""
        return self.measured.pairs.statistics

    @cached_property
    def judgement(self) -> Judgement:
        """The claims of the paper, judged on this, once; see `judge`."""
        return judgement_of(self.measured, CLAIMS)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, in the order of the claims."""
        return self.judgement.findings

    def to_frame(self) -> pandas.DataFrame:
        """The statistics as a pandas DataFrame, one row for each layer, matrix and statistic.

        Columns: layer, matrix, statistic, value, facts_error and text_error (standard errors), count (pairs of facts).

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return data_frame(statistics_rows(self.measured.pairs))

    def plot_kurtosis(self, ax: Axes | None = None) -> Axes:
        """Excess kurtosis of P over relative depth with its error, published GPT2-small beside it."""
        from ks_core.reporting.figures.pairs import draw_kurtosis

        return draw_kurtosis(_axes(ax), self.measured.pairs)

    def plot_density(self, ax: Axes | None = None) -> Axes:
        """Density of the off-diagonal entries of P in some layers, random keys beside it."""
        from ks_core.reporting.figures.pairs import draw_density

        return draw_density(_axes(ax), self.measured.pairs)

    def plot_angles(self, space: Literal["whitened", "activation"] = "whitened", ax: Axes | None = None) -> Axes:
        """Distribution of the angles between keys in some layers, in the whitened space or as they are."""
        from ks_core.reporting.figures.pairs import draw_angles

        if space not in ("whitened", "activation"):
            raise InputError(f"space is {shown(space)}; expected 'whitened' or 'activation'")
        return draw_angles(_axes(ax), self.measured.pairs, f"{space}_cosine")

    def plot_superposition(self, layer: int, ax: Axes | None = None) -> Axes:
        """P of one layer as an image, facts sorted by relation and object."""
        from ks_core.reporting.figures.pairs import draw_superposition

        pairs = {of.layer: of for of in self.measured.pairs.pairs}
        if arguments.whole_number("layer", layer) not in pairs:
            raise InputError(f"layer {shown(layer)} was not measured; expected one of {shown(tuple(pairs))}")
        return draw_superposition(_axes(ax), self.measured.pairs, pairs[layer])

    def plot_interference(self, at: Literal["bystanders", "edits"] = "bystanders", ax: Axes | None = None) -> Axes:
        """Change of values after a stream of edits, predicted against measured, at facts not edited or at the edits."""
        from ks_core.reporting.figures.streams import draw_interference

        if at not in ("bystanders", "edits"):
            raise InputError(f"at is {shown(at)}; expected 'bystanders' or 'edits'")
        return draw_interference(_axes(ax), self._part("stream"), at)

    def plot_growth(self, ax: Axes | None = None) -> Axes:
        """Change of the values of facts not edited against the number of edits, by method."""
        from ks_core.reporting.figures.streams import draw_growth

        return draw_growth(_axes(ax), self._part("stream"), self.settings.model_name)

    def plot_score(self, score: str = "retention", ax: Axes | None = None) -> Axes:
        """How the edited model behaves against the number of edits, by method.

        Args:
            score: "paraphrase", "retention", "neighbourhood" or "log-perplexity rise".
            ax: where to draw.
        """
        from ks_core.reporting.figures.streams import PANELS, draw_score

        if score not in PANELS:
            raise InputError(f"score is {shown(score)}; expected one of {', '.join(PANELS)}")
        return draw_score(_axes(ax), self._part("stream"), score)

    def plot_dose(self, ax: Axes | None = None) -> Axes:
        """Gain of the new object at other facts of the relation against their superposition P with the edited one."""
        from ks_core.reporting.figures.streams import draw_dose

        dose = self._part("dose")
        if dose.response is None:
            raise InputError("no relation has three facts that could be used, so there is no dose; give more facts")
        return draw_dose(_axes(ax), dose.response)

    def _part(self, name: Part) -> Any:
        part = getattr(self.measured, name)
        if part is None:
            raise InputError(f"{name} was not measured; expected it among the parts: measure(…, parts=[{name!r}])")
        return part

    def __repr__(self) -> str:
        pairs = self.measured.pairs
        parts = [name for name in get_args(Part) if getattr(self.measured, name) is not None]
        return (
            f"Results(model={shown(self.settings.model_name)}, facts={pairs.num_facts}, layers={len(pairs.layers)}, "
            f"parts={', '.join(parts)})"
        )


def judge(results: Results, claims: Mapping[str, Claim] | Iterable[Claim] | None = None) -> Judgement:
    """Judge the claims of the paper, or claims of one's own, on what was measured, as `pytest -m paper` does.

    Args:
        results: as `measure` gives them.
        claims: which ones, by name or in a collection (see `ks_core.claims.claim.Claim`); `CLAIMS` of
            `ks_core.claims.registry`, those of the paper, when left out.

    Returns:
        A `Judgement`: a mapping from each claim's name to its findings, or to why it cannot be judged. It prints as
        one line a claim.

    Raises:
        InputError: what are no results, or no claims of different names.

    Example:
        >>> from ks_core.data.corpus import corpus_of
        >>> from ks_core.data.facts import Fact
        >>> from ks_core.front.measuring import measure
        >>> from ks_core.models.loading import load_model
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> text = corpus_of((f"The river of {n} towns, and {n * n} stones." for n in range(80)), "rivers")
        >>> lands = ("France", "Portugal", "Japan", "Italy")
        >>> facts = [Fact(n, f"Town {n}", "P17", "{} lies in", lands[n % 4], lands[n % 4 - 1]) for n in range(16)]
        >>> small = Settings(num_facts=4, resamples=40, tokens=800)
        >>> verdict = judge(measure(model, facts, small, corpus=text, parts=()))
        >>> [finding.verdict.value for finding in verdict["universal"]]
        ['undecided']
        >>> verdict["lossless"].reason
        'it was not measured'
        >>> len(verdict) == len(CLAIMS), "universal" in verdict, list(verdict)[:2]
        (True, True, ['universal', 'zero-mean'])
    """
    found = arguments.instance("results", results, Results, "as measure(model, facts) gives them")
    return found.judgement if claims is None else judgement_of(found.measured, claims)


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]

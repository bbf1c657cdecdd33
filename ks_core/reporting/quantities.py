"""Unit, error and n of the numbers in results.json that do not carry them themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ONE, KEY2, VALUE, NATS = "1", "key^2", "value", "nats a token"
"""Units. `key`: of an entry of a key, the input of the weight that is edited; `value`: of an entry of its output, a
value. Both are the model's own."""

SIZED = ("mean", "std", "rms", "mode")
"""Statistics in the unit of their matrix; `mode_density` is in its inverse, the others have none."""

ANY = "*"
"""A step that may have any name."""


@dataclass(frozen=True)
class Quantity:
    """What is to be known of the numbers at some places of the file.

    Attributes:
        path: keys from the top; lists are passed through, `*` is any key, `a|b` is a or b
        unit: `1` for a number without
        error: which field beside the number has its standard error and what it is over, or why there is none
        count: which field has n, or what there is one number for
    """

    path: tuple[str, ...]
    unit: str
    error: str
    count: str

    def at(self, path: tuple[str, ...]) -> bool:
        """Whether a place is this one or inside it."""
        return len(path) >= len(self.path) and all(
            of == ANY or place in of.split("|") for of, place in zip(self.path, path, strict=False)
        )


def unit_of_statistic(matrix: str, statistic: str) -> str:
    """The unit of a statistic of a pair matrix; only inner products, Q, have one.

    Example:
        >>> unit_of_statistic("P", "std"), unit_of_statistic("Q", "std"), unit_of_statistic("Q", "kurtosis")
        ('1', 'key^2', '1')
    """
    if matrix != "Q":
        return ONE
    return KEY2 if statistic in SIZED else {"mode_density": f"1/{KEY2}"}.get(statistic, ONE)


_BESIDE = "`error` beside it: one standard error"
_BOTH = "`facts_error` and `text_error` beside it: standard errors over facts and over text"
_COUNT = "`count` beside it"
_TAKEN = "none: computed as it is, not estimated from a sample"
_ONE_RUN = "none: one run"
_SCORES = "efficacy|efficacy magnitude|paraphrase|paraphrase magnitude|neighbourhood|neighbourhood magnitude|retention"
_SHARES = f"{_SCORES}|p(new)|watched halved|watched overtaken|growth"
_CHANGES = "watched change|watched tail|log-perplexity rise"
_RUNS = ("editing", "stream", "methods|second_moment_of_first_half", ANY)
_LONG = ("editing", "lifelong")


def _scores(*path: str) -> Iterator[Quantity]:
    yield Quantity((*path, _SHARES), ONE, _BESIDE, _COUNT)
    yield Quantity((*path, _CHANGES), NATS, _BESIDE, _COUNT)


def _growth(part: str) -> Iterator[Quantity]:
    yield Quantity(("editing", part, "growth", "rms_delta_o"), VALUE, _TAKEN, "one for each of `edits` beside it")
    names = "exponent|rank_correlation_delta_e_later_edits"
    yield Quantity(("editing", part, "growth", names), ONE, _BOTH, "as many as `edited_case_ids`")


def _of_pairs() -> Iterator[Quantity]:
    yield Quantity(("condition_number",), ONE, _TAKEN, "one a layer")
    yield Quantity(("rank",), "directions", _TAKEN, "one a layer")
    yield Quantity(("silent_neurons",), "neurons", _TAKEN, "one a layer")
    why = "none: resampling says nothing about extremes"
    yield Quantity(("extremes", "P|whitened_cosine|activation_cosine"), ONE, why, "`pairs`, in each layer")
    yield Quantity(("extremes", "Q"), KEY2, why, "`pairs`, in each layer")
    yield Quantity(("seconds",), "s", _ONE_RUN, "one a step")
    yield Quantity(("editing", ANY, "seconds"), "s", _ONE_RUN, "one a step")


def _of_streams() -> Iterator[Quantity]:
    reached = "stream|lifelong"
    yield Quantity(("editing", reached, "target_probability_reached"), ONE, _TAKEN, "one an edit")
    yield Quantity(("editing", "stream", "target_value_steps"), "steps", _TAKEN, "one an edit")
    yield Quantity(("editing", "stream", "freedom_under_protection"), ONE, _TAKEN, "one an edit")
    yield Quantity(("editing", "stream", "null_space_variance"), ONE, _TAKEN, "one")
    yield from _scores(*_RUNS, "scores")
    yield Quantity((*_RUNS, "length"), VALUE, _TAKEN, "one weight after `edits` edits")
    interference, count = (*_RUNS, "float64|own_dtype", ANY), "root mean square over the case ids of that name"
    yield Quantity((*interference, "predicted|measured|difference"), VALUE, _TAKEN, count)
    yield Quantity((*interference, "relative"), ONE, _TAKEN, count)
    yield from _growth("stream")


def _of_doses() -> Iterator[Quantity]:
    place, count = ("editing", "dose|long_dose", "by_layer_edit_and_fact"), "one a layer, edit and watched fact"
    yield Quantity((*place, "reached"), ONE, _TAKEN, "one a layer and edit")
    yield Quantity((*place, "dose|dose_of_half|overtaken"), ONE, _TAKEN, count)
    changes = "predicted|response|response_of_half|kept_predicted|kept_response"
    yield Quantity((*place, changes), NATS, _TAKEN, count)


def _of_long_streams() -> Iterator[Quantity]:
    for places in (
        ("unedited",), ("curves", "looks", "scores"), ("curves", "looks", "watched", ANY), ("acting", "scores", ANY),
        ("forecasts", "looks", "scores"),
    ):  # fmt: skip
        yield from _scores(*_LONG, *places)
    yield Quantity((*_LONG, "curves", "looks", "length"), VALUE, _TAKEN, "one an order")
    yield Quantity((*_LONG, "acting", "largest_share"), ONE, _TAKEN, "one a watched fact")
    yield Quantity((*_LONG, "simulated_less_measured_nats"), NATS, _TAKEN, "the largest over the watched facts")
    yield from _growth("lifelong")


def _of_sizes() -> Iterator[Quantity]:
    models = ("editing", "capacity", "models")
    squares = "target_probability_reached|mean_square_of_p_among_edits|mean_square_of_p_onto_watched"
    yield Quantity((*models, squares), ONE, _TAKEN, "one a model")
    yield Quantity((*models, "methods", ANY, "halved"), ONE, _BESIDE, _COUNT)
    yield Quantity((*models, "methods", ANY, "growth"), ONE, _TAKEN, "one weight after `edits` edits")
    common = "`facts_known_to_all` of the family, in each layer"
    yield Quantity(("scaling", "members", "by_layer", ANY), ONE, f"{_BOTH}; `interval` has both", common)
    yield Quantity(("scaling", "members", "chance_by_layer"), ONE, "none: a reference, of random keys", common)
    exponents = ("scaling", "exponents", ANY)
    members = "as many as `members`, one for each of `places`"
    yield Quantity((*exponents, "at_places|over_chance_at_places"), ONE, f"{_BOTH}; `interval` has both", members)
    yield Quantity((*exponents, "of_chance_at_places"), ONE, "none: a reference, of random keys", members)
    yield Quantity(("scaling", "trends", ANY, "p"), ONE, "none: a probability", "`pairs` beside it")
    yield Quantity(("seeds", "by_seed"), ONE, "none: its spread over seeds is the error", "one a layer, seed and size")


QUANTITIES = (*_of_pairs(), *_of_streams(), *_of_doses(), *_of_long_streams(), *_of_sizes())
"""All of them; no two are for one place."""


def numbers_in(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every number of JSON values with the keys that lead to it; lists add none, null counts as an unknown number."""
    if isinstance(content, Mapping):
        for name, item in content.items():
            yield from numbers_in(item, (*path, str(name)))
    elif isinstance(content, (list, tuple)):
        for item in content:
            yield from numbers_in(item, path)
    elif content is None or (isinstance(content, (int, float)) and not isinstance(content, bool)):
        yield path, content


def quantities_of(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those of `QUANTITIES` that some number of the content is of, as JSON values."""
    paths = {path for path, _ in numbers_in(content)}
    found = [quantity for quantity in QUANTITIES if any(quantity.at(path) for path in paths)]
    return [{"path": list(of.path), "unit": of.unit, "error": of.error, "count": of.count} for of in found]

"""The parts of the schema of results.json that are of edits and of other sizes of model."""

from __future__ import annotations

from typing import Any

from schema_words import NUMBER, TEXT, WHOLE, closed, either, listed, mapped, of, ref

Json = dict[str, Any]

NUMBERS = listed(NUMBER)
REASON = of(either(TEXT, {"type": "null"}), "why it could not go on; null where it could")
SCORES = of(mapped(ref("mean")), "by score")


def stream() -> Json:
    """A stream of edits by several methods."""
    sizes = closed(dict.fromkeys(("predicted", "measured", "difference", "relative"), NUMBER))
    interference = closed(dict.fromkeys(("bystanders", "protected", "edits"), sizes))
    checkpoint = closed(
        {"edits": WHOLE, "scores": SCORES, "length": NUMBER, "float64": interference, "own_dtype": interference}
    )
    ids = dict.fromkeys(("edited_case_ids", "bystander_case_ids", "protected_case_ids"), listed(WHOLE))
    return closed(
        {
            "layer": WHOLE,
            **ids,
            "target_probability_reached": NUMBERS,
            "target_value_steps": listed(WHOLE),
            "freedom_under_protection": NUMBERS,
            "null_space_variance": NUMBER,
            "formula": TEXT,
            "methods": mapped(listed(checkpoint)),
            "second_moment_of_first_half": mapped(checkpoint),
            "growth": ref("growth"),
            "seconds": ref("seconds"),
        }
    )


def growth() -> Json:
    """How interference grows with the number of edits."""
    number = closed(dict.fromkeys(("value", "facts_error", "text_error"), NUMBER))
    return closed(
        {
            "edits": listed(WHOLE),
            "rms_delta_o": NUMBERS,
            "exponent": number,
            "rank_correlation_delta_e_later_edits": number,
        }
    )


def dose() -> Json:
    """Single edits and what they do to their neighbours; null where there is none."""
    by_fact = listed(listed(NUMBERS))
    names = ("dose", "dose_of_half", "predicted", "response", "response_of_half", "overtaken", "kept_predicted",
             "kept_response")  # fmt: skip
    found = closed(
        {
            "relation": TEXT,
            "layers": listed(WHOLE),
            "edited_case_ids": listed(WHOLE),
            "watched_case_ids": listed(WHOLE),
            "by_layer_edit_and_fact": closed({"reached": listed(NUMBERS), **dict.fromkeys(names, by_fact)}),
            "seconds": ref("seconds"),
        }
    )
    return either(found, {"type": "null"})


def lifelong() -> Json:
    """Hundreds of edits in several orders."""
    apart = closed({"near": SCORES, "far": SCORES})
    look = {"edits": WHOLE, "orders": WHOLE, "scores": SCORES, "watched": apart, "length": NUMBERS}
    curve = {"method": TEXT, "setting": TEXT, "default": {"type": "boolean"}, "failed": REASON}
    foretold = closed({"edits": WHOLE, "samples": WHOLE, "scores": SCORES})
    places = closed(dict.fromkeys(("everywhere", "at_subject", "elsewhere"), SCORES))
    acting = {"method": TEXT, "edits": WHOLE, "scores": places, "largest_share": NUMBERS}
    forecast = {"method": TEXT, "sample": WHOLE, "failed": REASON, "looks": listed(foretold)}
    ids = dict.fromkeys(("edited_case_ids", "near_case_ids", "far_case_ids"), listed(WHOLE))
    return closed(
        {
            "layer": WHOLE,
            **ids,
            "orders": listed(listed(WHOLE)),
            "first_quarter": WHOLE,
            "texts": WHOLE,
            "search": ref("search"),
            "target_probability_reached": NUMBERS,
            "unedited": SCORES,
            "curves": listed(closed({**curve, "looks": listed(closed(look))})),
            "forecasts": listed(closed(forecast)),
            "acting": listed(closed(acting)),
            "growth": ref("growth"),
            "details": mapped(TEXT),
            "simulated_less_measured_nats": mapped(NUMBER),
            "resamples": WHOLE,
            "seed": WHOLE,
            "seconds": ref("seconds"),
        }
    )


def capacity() -> Json:
    """Streams of insertions on models of many widths."""
    damage = closed({"edits": WHOLE, "halved": ref("mean"), "growth": NUMBER, "failed": REASON})
    counts = dict.fromkeys(("d_key", "layer", "edits", "watched"), WHOLE)
    squares = ("target_probability_reached", "mean_square_of_p_among_edits", "mean_square_of_p_onto_watched")
    numbers = dict.fromkeys(squares, NUMBER)
    model = closed({"name": TEXT, "family": TEXT, **counts, **numbers, "methods": mapped(listed(damage))})
    return closed({"models": listed(model), "resamples": WHOLE, "seed": WHOLE, "seconds": ref("seconds")})


def scaling() -> Json:
    """A family of models of several sizes."""
    number = {"value": NUMBERS, "facts_error": NUMBERS, "text_error": NUMBERS, "interval": listed(NUMBERS)}
    exponents = {"at_places": closed(number), "over_chance_at_places": closed(number), "of_chance_at_places": NUMBERS}
    member = {
        "name": TEXT,
        "revision": either(TEXT, {"type": "null"}),
        "parameters_outside_embedding": WHOLE,
        "weights_sha256": TEXT,
        "by_layer": mapped(closed(number)),
        "chance_by_layer": mapped(NUMBERS),
    }
    return closed(
        {
            "family": TEXT,
            "case_ids": listed(WHOLE),
            "facts_sha256": TEXT,
            "facts_known_to_all": WHOLE,
            "places": mapped({"type": "number"}),
            "members": listed(closed(member)),
            "exponents": mapped(closed(exponents)),
            "trends": mapped(closed({"rising": WHOLE, "pairs": WHOLE, "p": NUMBER})),
        }
    )


def seeds() -> Json:
    """Of other seeds of training; null where there are none."""
    by_seed = mapped(listed(mapped(NUMBERS)))
    found = closed({"family": TEXT, "sizes": listed(WHOLE), "by_seed": by_seed})
    return either(found, {"type": "null"})

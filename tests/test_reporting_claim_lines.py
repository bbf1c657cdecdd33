"""The claims on a terminal: one line each, whatever its width, its characters, and whoever named what is in them."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_findings import ABOVE, BELOW, WITHIN, finding, many

from ks_core.claims.deciding import what_would_decide
from ks_core.claims.finding import Bound, Finding, Judged, Reference, Verdict
from ks_core.claims.registry import CLAIMS
from ks_core.claims.summing import sums_of
from ks_core.formatting import printable
from ks_core.reporting.claim_lines import claim_lines, claims_text, last_line, legend
from ks_core.reporting.screen import Screen, columns
from ks_core.reporting.words import how_far

WIDTHS = (20, 40, 60, 80, 91, 92, 100, 120, 200)


def said(sums, width=100, encoding="utf-8", **options):
    return [line.text for line in claim_lines(sums, Screen(width, encoding), **options)]


@pytest.mark.parametrize("width", [100, 120, 200])
def test_each_claim_is_one_line_with_its_verdict_first(width):
    sums = many()
    heading, *lines = said(sums, width)
    assert heading.split()[0] == "verdict"
    assert len(lines) == len(sums)
    for line, of in zip(lines, sums, strict=True):
        assert line.startswith(of.verdict.value if of.verdict else "not judged")


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_longer_than_the_screen(width, encoding, parts):
    text = claims_text(many(), "a model " * 30, Screen(width, encoding), parts=parts, more="-v")
    assert max(map(columns, text.split("\n"))) <= width
    text.encode(encoding)


@pytest.mark.parametrize("width", WIDTHS[3:])
def test_every_line_of_numbers_has_its_number_how_far_and_what_decides(width):
    text = "\n".join(said(many(), width))
    for number in ("5.10 ± 0.20", "2.2e-15 ± 5.6e-17", "4.0 ± 2.0", "4 ± ?", "? ± ?"):
        assert number in text
    assert re.search(r"5.10 ± 0.20 +\(?> 3, 10 errors inside", text)
    assert re.search(r"1.100 ± 0.050 +\(?within 0.5 of 3, 28 (errors )?outside", text), "and not as a second error"
    assert re.search(r"4.0 ± 2.0 +\(?> 3, 0.5 (errors )?inside\)?; (at least )?17 × (the )?facts", text)
    assert "over 100" in text


def test_what_is_not_decidable_says_so():
    text = "\n".join(said(many(), 200))
    assert "not decidable with models this small" in text
    assert "too near to its threshold (needs over 10,000 × the facts)" in text
    assert "too near to its threshold (it is at it)" in text
    assert "more facts, as some samples leave it undefined" in text


def test_a_claim_of_several_parts_counts_those_that_hold_and_lists_them_when_asked():
    sums = [of for of in many() if of.name == "zero-mean"]
    heading, line = said(sums)
    assert "P has zero mean (1 of 2: mean)" in line
    assert "1.100 ± 0.050" in line, "the number of the part that breaks it"
    listed = said(sums, parts=True)
    assert listed[:2] == [heading, line]
    assert [line.split()[:2] for line in listed[2:] if line.startswith("  ") and line[2] != " "] == [
        ["does", "not"],
        ["holds", "mode"],
    ]
    assert "layers 0-29, weakest 20" in "\n".join(listed)


def test_parts_tell_everything_that_is_known_of_a_number():
    of = finding("mine", layers=(3,), layer=3, tolerance="by reading", references=(Reference("chance", 0.5, to=0.7),))
    text = " ".join(" ".join(said(sums_of([of]), 200, parts=True)).split())
    for detail in ("layer 3", "interval 3.8 to 4.2", "8 pairs of facts a layer", "chance 0.5 to 0.7", "by reading"):
        assert detail in text
    untested = said([replace(sums_of([of])[0], untested="that it lasts")], parts=True)
    assert untested[-1].strip() == "not tested: that it lasts"


def test_what_was_not_judged_has_its_reason_and_the_whole_of_it_when_asked():
    sums = [of for of in many() if of.verdict is None]
    assert all("2 facts were measured" in line for line in said(sums)[1:])
    assert "(num_facts; in pytest: --ks-num-facts)" in " ".join(" ".join(said(sums, parts=True)).split())


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (4.0, 0.5, "2.0 errors inside"),
        (2.0, 0.5, "2.0 errors outside"),
        (8.0, 0.503, "9.9 errors inside"),
        (8.0, 0.502, "10 errors inside"),
        (103.0, 1.0, "over 100 errors inside"),
        (4.0, 0.0, "inside"),
        (2.0, 0.0, "outside"),
        (3.0, 0.5, "at it"),
        (4.0, math.nan, "? errors inside"),
        (math.nan, math.nan, "not known"),
    ],
)
def test_how_far(value, error, words):
    assert how_far(finding(value=value, error=error)) == words


def test_the_legend_explains_what_is_there_and_nothing_else():
    def told(sums, **options):
        return " ".join(line.text for line in legend(sums, Screen(), **options))

    of_one = told(sums_of([finding()]))
    assert "one standard error" in of_one
    all_words = ("(2 of 4)", "which is named", "+1:", "all layers at once", "× the text", "?:", "-v shows each part")
    assert not any(words in of_one for words in (*all_words, "-v"))
    assert all(words in told(many(), more="-v") for words in all_words)
    holding = told(sums_of([finding(part="a"), finding(part="b")]))
    assert "(2 of 4)" in holding
    assert "named" not in holding


def test_the_last_line_counts_claims_on_the_model():
    assert [line.text for line in last_line(sums_of([finding()]), "a\x1b[2Jmodel", Screen())] == [
        r"1 of 1 claim holds on a\x1b[2Jmodel"
    ]


def test_a_sentence_is_whole_where_it_fits_and_short_where_not():
    (of,) = sums_of([finding("lossless")])
    whole, short = CLAIMS["lossless"].sentence, CLAIMS["lossless"].short
    assert whole in said([of], 120)[1]
    assert short in said([of, *many()], 100)[1]


def test_verdicts_are_coloured_and_nothing_else():
    for width in (60, 100):
        lines = claim_lines(many(), Screen(width, colour=True), parts=True)
        coloured = re.findall(r"\x1b\[(\d+)m([^\x1b]*)\x1b\[0m", Screen(width, colour=True).written(lines))
        assert {*coloured} == {("32", "holds"), ("31", "does not hold"), ("33", "undecided")}
        assert "\x1b" not in Screen(width).written(lines)


NASTY = st.text(st.characters(codec="utf-8") | st.sampled_from("\n\r\x1b\x00\u202e東京🙂e\u0301"), max_size=60)


@given(
    name=NASTY.filter(bool),
    quantity=NASTY,
    source=NASTY,
    model=NASTY,
    reason=NASTY,
    screen=st.builds(Screen, st.integers(20, 130), st.sampled_from(["utf-8", "ascii", "cp437"])),
    parts=st.booleans(),
)
def test_names_of_others_forge_no_line(name, quantity, source, model, reason, screen, parts):
    of = Finding(name, quantity, finding().judged, count=1, counted=source, references=(Reference(source, 1.0),))
    sums = sums_of([of, replace(of, part=quantity + "2")], {reason or "a": reason})
    lines = [*claim_lines(sums, screen, parts=parts), *last_line(sums, model, screen)]
    assert all(line.text == printable(line.text) for line in lines)
    assert max(columns(line.text) for line in lines) <= screen.width
    "".join(line.text for line in lines).encode(screen.encoding)


@given(st.lists(st.builds(finding, st.sampled_from([*CLAIMS, "mine"]), st.floats(-1e9, 1e9) | st.just(math.nan),
                          st.floats(0, 1e9) | st.just(math.nan)), max_size=8))  # fmt: skip
def test_any_numbers_fit(found):
    for width in (20, 80, 100):
        assert all(columns(line) <= width for line in said(sums_of(found), width, parts=True))


def test_an_undecided_line_says_what_the_one_place_that_knows_says():
    judged = Judged(4.0, 0.0, 1.0, (2.1, 5.9), ABOVE, Verdict.UNDECIDED)
    of = Finding("kurtosis", "kurtosis", judged, count=8)
    assert said(sums_of([of]), 120)[1].endswith(f"; {what_would_decide(of)}")


LINEAR = (
    finding("accumulation", 4.0, part="predicted"),
    finding("accumulation", 1.0, bound=WITHIN, part="linear"),
    finding("accumulation", 4.0, part="earlier"),
)
"""Interference grows and earlier edits suffer, but not linearly."""


@pytest.mark.parametrize("width", [60, 80, 100, 120])
@pytest.mark.parametrize("value", [1.0, 3.4], ids=["fails", "undecided"])
def test_a_claim_of_several_parts_names_the_one_that_its_number_is_of(width, value):
    linear = finding("accumulation", value, bound=WITHIN, part="linear")
    for found in ((LINEAR[0], linear, LINEAR[2]), (finding("accumulation@long"), replace(linear, variant="long"))):
        text = "\n".join(said(sums_of(found), width))
        assert re.search(r"linear(@long)?\)", text)
    assert "linear" not in "\n".join(said(sums_of([LINEAR[0], LINEAR[2]]), 60)), "where all parts hold"


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_a_part_of_a_long_name_is_named_beside_its_number(width):
    found = [finding("scaling", 9.0, 0.1, BELOW, part="cosine-over-chance", family="gpt_neox", depth="last"),
             finding("scaling", 4.0, part="kurtosis", family="gpt_neox", depth="last")]  # fmt: skip
    assert "cosine-over-chance" in "\n".join(said([*sums_of(found), *many()], width))


def test_how_many_more_parts_are_undecided_is_said():
    found = [finding("methods", 3.1, 0.7, part=part) for part in ("retention", "locality")]
    assert "(0 of 2: retention +1)" in "\n".join(said(sums_of(found), 80))
    assert "(retention +1)" in "\n".join(said([*sums_of(found), *many()], 100))


@pytest.mark.parametrize("width", WIDTHS[4:])
def test_what_decides_is_never_cut_before_its_unit(width):
    """Of the longest units, in columns that other claims leave, beside the longest of numbers."""
    text = Judged(-0.00008, 0.00083, 0.0004, (-0.003, 0.003), Bound("above", 0.0), Verdict.UNDECIDED)
    of = replace(finding("methods", part="locality"), judged=text, counted="edits of each of 3 orders", edits=32)
    within = replace(of, judged=replace(text, value=0.0009), part="damage")
    for found in (of, within):
        lines = said([*sums_of([found]), *many()], width)
        assert "…" not in next(line for line in lines if "± 0.00092" in line)


def alone(familywise=(2.0, 4.2)):
    """Of thirty layers one that is off by itself, and not among all."""
    judged = Judged(3.9, 0.15, 0.0, (3.6, 4.2), WITHIN, Verdict.UNDECIDED, familywise)
    return Finding("zero-mean", "mode", judged, count=8, part="mode", layers=tuple(range(30)), layer=20)


def test_the_interval_of_all_layers_is_told_where_failing_rests_on_it():
    def told(of):
        return " ".join(" ".join(said(sums_of([of]), 200, parts=True)).split())

    assert "interval 3.6 to 4.2, of all layers at once 2 to 4.2" in told(alone())
    assert "interval 3.6 to 4.2, of all layers at once not stored" in told(alone(None))
    inside = replace(alone(), judged=replace(alone().judged, value=3.1))
    assert "at once" not in told(inside), "its verdict rests on its own interval"
    assert "at once" not in told(replace(alone(), across="mean"))


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_what_stands_out_alone_says_so(width):
    """In results without the interval of all layers there is no number of facts to tell."""
    text = " ".join(" ".join(said(sums_of([alone(None)]), width)).split())
    assert re.search("alone, not among all", text)
    assert "at least more" not in text

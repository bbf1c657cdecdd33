"""The page docs/understand.md: what it names is there, its numbers are the baseline's, its own formulas hold."""

import json
import math
import re

import numpy as np
import pytest
from checkout import ROOT
from hypothesis import given
from hypothesis import strategies as st
from test_readme import BASELINE, PAGES, numbers

from ks_core.conformance.registry import LAWS
from ks_core.formatting import plus_minus
from ks_core.statistics.null import null_cosines

PAGE = PAGES["understand.md"]
FINDINGS = json.loads(BASELINE.read_text(encoding="utf-8"))["findings"]
TESTS = {
    name
    for path in (ROOT / "tests").glob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}


def unknown(page):
    """What a page holds its statements with, and what there is not: tests, laws, rows of the baseline."""
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE))
    rows = {name.partition("@")[0] for name in FINDINGS} | set(FINDINGS)
    return [span for span in spans if span not in TESTS and span not in LAWS and span not in rows]


def rows_of(page):
    """Rows of the table of claims: the row of the baseline, value ± error, verdict."""
    return re.findall(r"^\| [^|]+ \| `([\w:@-]+)` \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)


def test_what_holds_a_statement_is_there():
    assert unknown(PAGE) == []
    assert sum(PAGE.count(f"`{name}`") for name in [*TESTS, *LAWS]) >= 30


def test_planted_faults_what_is_not_there_is_found():
    assert unknown("`test_nothing` `closed_form_jint` `universal`") == ["test_nothing", "closed_form_jint"]


def test_claims_have_the_verdicts_and_numbers_of_the_baseline():
    rows = rows_of(PAGE)
    assert len(rows) == 18
    for claim, value, verdict in rows:
        assert (value, verdict) == (plus_minus(*numbers(FINDINGS[claim])), FINDINGS[claim]["verdict"]), claim


def test_what_is_said_to_hold_or_not_in_a_sentence_does():
    for claim, verdict in (("accumulation:linear", "does not hold"), ("accumulation:earlier", "holds")):
        assert f"`{claim}` {verdict}" in " ".join(PAGE.split())
        assert FINDINGS[claim]["verdict"] == verdict
    for claim in ("bound-pairs:dose", "bound-pairs:gradient"):
        assert FINDINGS[claim]["verdict"] == "holds"
    for claim in ("capacity:per-dimension", "capacity:per-superposition"):
        assert FINDINGS[claim]["verdict"] == "does not hold"
    by_size = [found["verdict"] for claim, found in FINDINGS.items() if re.fullmatch(r"scaling:kurtosis@\w+", claim)]
    assert sorted(by_size) == ["does not hold", "undecided", "undecided"]


def test_numbers_after_400_edits_are_those_of_their_page():
    told = dict(re.findall(r"^\| ([a-z0-9., ]+) \| ([\d.]+ ± [\d.]+ \| \d+ ± \d+ %) \|$", PAGE, re.MULTILINE))
    assert len(told) == 4
    for method, shown in told.items():
        [row] = re.findall(rf"^\| {re.escape(method)} \| (.+) \|$", PAGES["edits.md"], re.MULTILINE)
        assert " | ".join(row.split(" | ")[2:4]) == shown
        assert row.split(" | ")[-1].partition(" ± ")[0] in PAGE.partition("The algebra above is in this table.")[2]


def eaten(page):
    """Formulas within a sentence of which the repository's web site would take a part for Markdown."""
    inline = re.findall(r"\$([^$\n]+)\$", re.sub(r"^```.*?^```$", "", page, flags=re.DOTALL | re.MULTILINE))
    return [formula for formula in inline if re.search(r"\\[^A-Za-z]|[^\w\s]_|\*", formula)]


def test_formulas_are_shown_on_the_web_site_of_the_repository_too():
    assert PAGE.count("$") > 100
    assert eaten(PAGE) == []
    assert eaten(r"$a\,b$, $x_i$, $(a)_i$, $a \cdot b$, $a*b$") == [r"a\,b", "(a)_i", "a*b"]


# --- its own formulas


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_more_keys_than_dimensions_overlap(d, more, seed):
    m = d + more
    keys = np.random.default_rng(seed).standard_normal((m, d))
    units = keys / np.linalg.norm(keys, axis=1, keepdims=True)
    squared = (units @ units.T) ** 2
    mean = (squared.sum() - np.trace(squared)) / (m * (m - 1))
    assert mean >= (m - d) / (d * (m - 1)) - 1e-12  # rounding of m² terms of at most 1


def test_random_directions_have_the_moments_of_the_page():
    d = 24
    # One pair of each draw, so that the cosines are independent and the error is that of a mean.
    drawn = np.array([cosine[0, 1] for cosine in null_cosines(2, d, 20_000, seed=0)])
    for power, expected in ((1, 0.0), (2, 1 / d), (4, 3 / (d * (d + 2)))):
        error = (drawn**power).std(ddof=1) / math.sqrt(len(drawn))
        assert abs((drawn**power).mean() - expected) < 5 * error, power  # 5 standard errors: one run in two million


def test_lengths_alone_have_the_kurtosis_of_the_page():
    """The moments of ln-normal ratios against the page's formula, by independent pairs; s where the mean converges."""
    d, spread = 24, 0.15
    rng = np.random.default_rng(0)
    cosine = np.array([found[0, 1] for found in null_cosines(2, d, 20_000, seed=1)])
    p = cosine * np.exp(spread * (rng.standard_normal(20_000) - rng.standard_normal(20_000)))
    batches = np.array([(of**4).mean() / (of**2).mean() ** 2 - 3 for of in p.reshape(20, 1000)])
    error = batches.std(ddof=1) / math.sqrt(len(batches))
    # The ratio of two means of 1,000 has a bias of about 1 / 1000 of itself, a tenth of the error here.
    assert abs(batches.mean() - (3 * d / (d + 2) * math.exp(8 * spread**2) - 3)) < 5 * error
    assert round(3 * 1536 / 1538 * math.exp(2) - 3) == 19  # at s = 0.5


@given(st.integers(2, 10), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_interference_of_alike_residuals_grows_as_the_page_says(n, cosine, seed):
    """Residuals of one length and one pairwise cosine: a shared direction, and one of each's own."""
    shares = np.random.default_rng(seed).standard_normal(n)
    residuals = np.hstack([math.sqrt(1 - cosine) * np.eye(n), np.full((n, 1), math.sqrt(cosine))])
    moved = shares @ residuals
    told = (1 - cosine) * (shares**2).sum() + cosine * shares.sum() ** 2
    assert moved @ moved == pytest.approx(told, rel=1e-12, abs=1e-12)

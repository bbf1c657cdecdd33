"""The page as text: what is said of claims and numbers is what the results hold, whatever a fact is called."""

import dataclasses
import html
import itertools
import json
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from errors import refused
from older_results import as_format_3, as_older
from pages import changed, write_run

import ks_core as ks
from ks_core.claims.summing import sums_of
from ks_core.errors import InputError, MissingExtraError
from ks_core.formatting import plus_minus
from ks_core.reporting.claim_lines import last_line
from ks_core.reporting.page.answers import answers_of
from ks_core.reporting.page.build import page
from ks_core.reporting.page.embedding import json_text
from ks_core.reporting.screen import Screen
from ks_core.reporting.words import how_far, interval, requirement

LARGEST = 5_000_000
"""Bytes: what a mail or a chat takes, and a phone reads at once."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        return write_run(folder)


@pytest.fixture(scope="module")
def results(path):
    return ks.load_results(path)


@pytest.fixture(scope="module")
def text(results):
    return page([results])


class Elements(HTMLParser):
    """Tags in order with their attributes, and whether each that was opened was closed."""

    VOID = frozenset({"meta", "input", "img", "br", "link"})

    def __init__(self, content):
        super().__init__()
        self.found, self.around, self.faults = [], [], []
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.around.append(tag)

    def handle_endtag(self, tag):
        if not self.around or self.around.pop() != tag:
            self.faults.append(tag)


def visible(content):
    """The page without scripts, styles and tags."""
    bare = re.sub(r"<(script|style)\b.*?</\1>", "", content, flags=re.DOTALL)
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", bare).split()))


def test_the_document_is_whole(text):
    elements = Elements(text)
    assert elements.faults == []
    assert elements.around == []
    ids = [of["id"] for _, of in elements.found if "id" in of]
    assert len(ids) == len(set(ids))
    named = [name for _, of in elements.found for key in ("aria-labelledby", "for") for name in of.get(key, "").split()]
    assert set(named) <= set(ids)
    levels = [int(tag[1]) for tag, _ in elements.found if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_nothing_is_loaded_from_elsewhere(text):
    elements = Elements(text)
    assert not [tag for tag, of in elements.found if tag in ("link", "iframe", "img") or "src" in of]
    (policy,) = (of["content"] for tag, of in elements.found if of.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]


def test_every_claim_is_answered_with_its_numbers(results, text):
    said = visible(text)
    for finding in results.findings:
        assert plus_minus(finding.value, finding.error) in said
        assert finding.quantity in said
        assert f"{finding.count:,} {finding.counted}" in said
    for claim in results.content["claims"].values():
        assert claim["claims"][1:] in said
    for reason in results.content["not_judged"].values():
        assert reason in said


def test_the_sentence_counts_the_claims(results, text):
    """By hand: a claim does not hold where any number of it does not, and holds where all do."""
    verdicts = {}
    for finding in results.findings:
        verdicts.setdefault(finding.claim, set()).add(finding.verdict.value)
    fail = sum("does not hold" in of for of in verdicts.values())
    hold = sum(of == {"holds"} for of in verdicts.values())
    assert fail + hold < len(verdicts), "some are undecided, or this says little"
    asked = len(verdicts) + len(results.content["not_judged"])
    sentence = f"{hold} of {asked} claims hold on model, {fail} do not, {len(verdicts) - hold - fail} undecided, "
    assert sentence + f"{len(results.content['not_judged'])} not judged." in visible(text)
    sums = sums_of(results.findings, results.content["not_judged"])
    assert f"{last_line(sums, 'model', Screen(200))[0].text}." in visible(text), "the words of the terminal"


def test_claims_that_were_no_part_of_a_run_are_not_counted(results, path, tmp_path):
    """As those on long streams: the terminal does not count them either."""
    found = [of for of in results.findings if of.claim != "accumulation"]

    def leave_out(content):
        content["findings"] = [of for of in content["findings"] if of["claim"] != "accumulation"]

    less = ks.load_results(changed(path, tmp_path / "less", leave_out))
    assert len(less.findings) == len(found) < len(results.findings)
    said = visible(page([less]))
    asked = len({of.claim for of in found}) + len(less.content["not_judged"])
    assert f" of {asked} claims hold on model" in said
    assert "1 more claim was no part of this run" in said
    assert f"{len(less.content['not_judged'])} claims were not judged in this run" in said


def test_numbers_are_worded_as_on_the_terminal(results, text):
    said = visible(text)
    for finding in results.findings:
        assert f"{requirement(finding.judged.bound)}; {how_far(finding)}" in said
        assert interval(finding) in said


def test_a_claim_names_the_part_that_its_number_is_of(results):
    answers = [of for of in answers_of(results) if len(of.parts) > 1 and of.verdict != "holds"]
    assert answers
    for answer in answers:
        assert f"the number is of {answer.worst.name}, " in answer.named
        is_open = [part for part in answer.parts if part.verdict == "undecided"]
        if answer.verdict == "undecided":
            assert all(part.decide in answer.decide for part in is_open), "each, as all must be decided"
    assert not any(of.named for of in answers_of(results) if len(of.parts) < 2 or of.verdict == "holds")


def test_a_claim_is_as_good_as_its_worst_part(results):
    for answer in answers_of(results):
        if answer.parts:
            assert answer.worst in answer.parts
            assert answer.verdict == answer.worst.verdict
            ranks = [["does not hold", "undecided", "holds"].index(part.verdict) for part in answer.parts]
            assert ranks[answer.parts.index(answer.worst)] == min(ranks)


def test_statistics_are_those_of_the_results(results, text):
    said = visible(text)
    for row in results.rows:
        if row.matrix and np.isfinite(row.value):
            assert plus_minus(row.value, row.error) in said


def test_methods_are_those_of_the_results(results, text):
    said = visible(text)
    methods = results.content["editing"]["stream"]["methods"]
    assert methods
    for name, looks in methods.items():
        score = looks[-1]["scores"]["neighbourhood"]
        assert name in said
        assert plus_minus(score["value"], np.nan if score["error"] is None else score["error"]) in said


def test_the_strongest_pairs_are_in_the_table(results, text):
    matrix, facts = results.matrix("P"), results.content["facts"]["measured"]
    shown = visible(text)
    inside = ~np.eye(len(facts), dtype=bool)
    for place in range(len(matrix)):
        edited, disturbed = divmod(int(np.argmax(np.where(inside, np.abs(matrix[place]), -1))), len(facts))
        value = f"{matrix[place][edited, disturbed]:.3f}".replace("-", "−")
        named = [f"{facts[of]['text']} → {facts[of]['target_true']}" for of in (edited, disturbed)]
        assert f"{value} {named[0]} {named[1]} {results.content['layers'][place]}" in shown


def test_equal_results_give_an_equal_page(path, text):
    assert page([ks.load_results(path)]) == text


def test_names_of_others_are_text(path, tmp_path):
    hostile = "</script><img src=x onerror=alert(1)>"

    def poison(content):
        content["model"] = f"m/{hostile}"
        content["facts"]["measured"][0]["text"] = hostile
        content["findings"][0]["quantity"] = f"{{{{ 7 * 7 }}}}\u202e{hostile}"

    made = page([ks.load_results(changed(path, tmp_path / "results", poison))])
    assert not [tag for tag, _ in Elements(made).found if tag == "img"]
    assert hostile in visible(made)
    assert "{{ 7 * 7 }}\\u202e" in made


@pytest.mark.parametrize("value", ["</script>", "<!--", "a\u2028b", "&amp;", {"</script>": ["<b>"]}])
def test_json_in_a_script_reads_back_and_ends_nothing(value):
    made = str(json_text(value))
    assert not set(made) & set("<>&\u2028\u2029")
    assert json.loads(made) == json.loads(json.dumps(value).replace("\\u2028", "\\\\u2028"))


@pytest.mark.parametrize(("older", "form"), [(as_format_3, 3), (as_older, 2)])
def test_older_results_say_what_they_lack(path, tmp_path, older, form):
    target = tmp_path / "results.json"
    target.write_text(json.dumps(older(json.loads(path.read_text()))))
    made = page([ks.load_results(target)])
    assert f"its results are of ks_core/results/{form}): no heatmap and no table" in visible(made)
    assert "<canvas" not in made
    assert Elements(made).faults == []


def larger(results, layers, facts):
    """The results as of a model of more layers and a request of more facts, with random matrices."""
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((layers, facts, facts)).astype(np.float32)

    class Larger(type(results)):
        def matrix(self, name):
            return matrix if name == "P" else matrix / 10

    def stretched(of):
        if isinstance(of, tuple) and len(of) == len(results.content["layers"]):
            return tuple(of[place % len(of)] for place in range(layers))
        if hasattr(of, "items"):
            return {name: stretched(value) for name, value in of.items()}
        return of

    content = {
        name: stretched(of) if name not in ("findings", "editing") else of for name, of in results.content.items()
    }
    one = results.content["facts"]["measured"][0]
    measured = tuple({**one, "case_id": place, "subject": f"Subject number {place}"} for place in range(facts))
    content["layers"] = tuple(range(layers))
    content["facts"] = {**results.content["facts"], "measured": measured, "measured_case_ids": tuple(range(facts))}
    values = {field.name: getattr(results, field.name) for field in dataclasses.fields(results)}
    return Larger(**{**values, "content": content})


@pytest.mark.parametrize(("layers", "facts"), [(30, 128), (30, 300)])
def test_a_page_of_thirty_layers_is_small(results, layers, facts):
    assert len(page([larger(results, layers, facts)]).encode()) < LARGEST


def test_several_runs_stay_small_and_say_what_is_left_out(results):
    large = larger(results, 30, 128)
    made = page([large] * 4)
    assert made.count("<canvas") == 2
    assert visible(made).count("The heatmap of this run is left out") == 2
    assert len(made.encode()) < 3 * LARGEST


def test_several_runs_begin_with_a_leaderboard(path, results, tmp_path):
    def rename(content):
        content["model"] = "models/another"

    other = ks.load_results(changed(path, tmp_path / "other", rename))
    said = visible(page([results, other, other]))
    assert "3 runs side by side" in said
    for name in ("model", "another (1)", "another (2)"):
        assert f"{name} 8 3 " in said, "facts and layers of a run"
    dose = next(of for of in results.findings if of.id == "universal")
    assert said.count(plus_minus(dose.value, dose.error)) >= 3
    assert "Models, methods, editors" in said


def test_no_results_are_refused():
    with refused(InputError, what="there are no results", expected="one run at least", remedy="results.json"):
        page([])


def test_what_is_not_installed_is_named(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with refused(MissingExtraError, what="a page of results", got="vl_convert", remedy="ks_core[paper]"):
        page([results])

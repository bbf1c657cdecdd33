"""The page in a real browser: it draws, sorts, searches and speaks, by pointer and by keyboard, at every width."""

import itertools
import re

import numpy as np
import pytest
from browser import PHONE, WIDE, opened, running
from pages import changed, write_run

import ks_core as ks

HOSTILE = "</script><img src=x onerror=alert(1)>"


LOOKS = list(itertools.product((WIDE, PHONE), ("light", "dark")))


@pytest.fixture(scope="module")
def browser():
    with running() as one:
        yield one


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KS_CORE_CACHE", str(folder / "cache"))
        return write_run(folder)


@pytest.fixture(scope="module")
def page(run):
    return ks.report(run, run.with_name("report.html"))


@pytest.fixture(scope="module")
def several(run):
    def rename(content):
        content["model"] = "models/another"

    return ks.report([run, changed(run, run.parent / "another", rename)], run.with_name("several.html"))


def the_picture(of):
    return of.page.evaluate("document.querySelector('.heatmap canvas').toDataURL()")


def shown_rows(of):
    return of.page.locator(".entangled tbody tr:visible")


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_nothing_is_logged_fetched_or_overflows_and_axe_finds_no_violation(browser, page, several, width, scheme):
    """In one visit: drawing all of a page takes ten times as long as any of the checks but the last."""
    from axe_playwright_python.sync_playwright import Axe

    for path in (page, several):
        with opened(browser, path, width=width, scheme=scheme) as of:
            of.all_drawn()
            assert of.complaints == []
            assert of.requests == [path.resolve().as_uri()]
            assert of.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            of.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
            found = Axe().run(of.page).response["violations"]
            assert [(of["id"], [node["html"][:200] for node in of["nodes"]][:3]) for of in found] == []


def test_the_answer_is_seen_without_scrolling(browser, page):
    with opened(browser, page) as of:
        for selector in (".answer >> nth=0", ".answer >> nth=1", ".claims li >> nth=0"):
            box = of.page.locator(selector).bounding_box()
            assert box["y"] + box["height"] < 800


def test_the_slider_changes_layer_and_picture_by_keyboard(browser, page, run):
    layers = ks.load_results(run).content["layers"]
    with opened(browser, page) as of:
        slider, output = of.page.locator(".slider"), of.page.locator(".heatmap output")
        first = the_picture(of)
        assert output.inner_text() == str(layers[0])
        slider.focus()
        slider.press("ArrowRight")
        assert output.inner_text() == str(layers[1])
        assert slider.get_attribute("aria-valuetext") == f"layer {layers[1]}"
        assert the_picture(of) != first
        slider.press("Home")
        assert the_picture(of) == first


def point_at(of, row, column, count):
    box = of.page.locator(".heatmap canvas").bounding_box()
    of.page.locator(".heatmap canvas").hover(
        position={"x": (column + 0.5) * box["width"] / count, "y": (row + 0.5) * box["height"] / count}
    )
    return of.page.locator(".tip").inner_text()


def expected_words(run, place):
    """What the pointer is to say of every cell of a layer: from the matrix, by way of the facts' own ids."""
    results = ks.load_results(run)
    facts = results.content["facts"]["measured"]
    sorted_places = sorted(range(len(facts)), key=lambda of: (facts[of]["relation_id"], facts[of]["target_true"], of))
    matrix = results.matrix("P")[place]
    named = [f"{facts[of]['text']} → {facts[of]['target_true']}" for of in range(len(facts))]
    return {
        (row, column): (named[edited], named[disturbed], float(matrix[edited, disturbed]))
        for row, edited in enumerate(sorted_places)
        for column, disturbed in enumerate(sorted_places)
        if edited != disturbed
    }


def wrong_cells(of, expected, count):
    """The cells of which the page names other facts, or another number."""
    wrong = []
    for (row, column), (edited, disturbed, value) in expected.items():
        said = point_at(of, row, column, count)
        number = float(re.search(r"P = (\S+)", said)[1].replace("−", "-"))
        right = f"edited: {edited}\n" in said and f"disturbed: {disturbed}\n" in said
        if not right or abs(number - value) > 1e-3:  # three digits are shown, of four that are kept
            wrong.append((row, column))
    return wrong


def test_the_pointer_names_both_facts_and_their_number(browser, page, run):
    expected = expected_words(run, 1)
    count = round(np.sqrt(len(expected) + 0.25) + 0.5)
    some = {cell: expected[cell] for cell in list(expected)[::5]}
    with opened(browser, page) as of:
        of.page.locator(".slider").focus()
        of.page.locator(".slider").press("ArrowRight")
        assert wrong_cells(of, some, count) == []
        transposed = {(column, row): words for (row, column), words in some.items()}
        assert len(wrong_cells(of, transposed, count)) == len(some), "planted: rows for columns"


def test_the_heatmap_is_read_by_keyboard(browser, page, run):
    expected = expected_words(run, 0)
    with opened(browser, page) as of:
        of.page.locator(".heatmap canvas").focus()
        for key in ("ArrowDown", "ArrowDown", "ArrowRight"):  # from row 0, column 1
            of.page.keyboard.press(key)
        said = of.page.locator(".cell").inner_text()
        if (2, 2) in expected:
            edited, disturbed, _ = expected[2, 2]
            assert edited in said
            assert disturbed in said
        else:
            assert "with itself: P = 1.000" in said


@pytest.mark.parametrize("press", [lambda button: button.click(), lambda button: button.press("Enter")])
def test_tables_are_sorted_by_click_and_by_enter(browser, page, press):
    with opened(browser, page) as of:
        of.page.locator(".which").select_option("all")
        for column, way in (("P", "ascending"), ("P", "descending"), ("angle", "descending"), ("angle", "ascending")):
            head = of.page.get_by_role("columnheader", name=column, exact=True).first
            press(head.get_by_role("button"))
            assert head.get_attribute("aria-sort") == way
            assert of.page.locator(".entangled th[aria-sort]").count() == 1
            place = head.evaluate("head => head.cellIndex")
            keys = of.page.evaluate(
                "at => [...document.querySelectorAll('.entangled tbody tr')].map(row => row.cells[at].dataset.sort)",
                place,
            )
            numbers = [float(key) for key in keys if key]
            assert numbers == sorted(numbers, reverse=way == "descending")
            assert keys[len(numbers) :] == [""] * (len(keys) - len(numbers)), "what is not known comes last"


def test_search_and_layer_choose_the_rows(browser, page, run):
    layers = ks.load_results(run).content["layers"]
    with opened(browser, page) as of:
        of.page.locator(".same").set_checked(True)
        of.page.locator(".which").select_option("all")
        every = shown_rows(of).count()
        assert every == of.page.locator(".entangled tbody tr").count()
        of.page.locator(".search").fill("KYOTO")
        found = shown_rows(of).all_inner_texts()
        assert 0 < len(found) < every
        assert all("kyoto" in row.lower() for row in found)
        assert of.page.locator(".shown").inner_text() == f"{len(found)} pairs"
        of.page.locator(".search").fill("")
        of.page.locator(".which").select_option("layer")
        of.page.locator(".slider").focus()
        of.page.locator(".slider").press("ArrowRight")
        shown = of.page.evaluate(
            "[...document.querySelectorAll('.entangled tbody tr:not([hidden])')].map(row => row.cells[3].textContent)"
        )
        assert set(shown) == {str(layers[1])}


def ground(of):
    return of.page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_dark_and_light_are_chosen_by_button_and_by_system(browser, page):
    with opened(browser, page, scheme="dark") as dark, opened(browser, page) as light:
        of_dark, of_light, picture = ground(dark), ground(light), the_picture(light)
        assert of_dark != of_light
        light.page.get_by_role("button", name="Switch to dark colours").press("Enter")
        assert ground(light) == of_dark
        assert the_picture(light) == the_picture(dark) != picture
        light.page.get_by_role("button", name="Switch to light colours").click()
        assert ground(light) == of_light


def test_paper_gets_what_is_closed_and_no_buttons(browser, page):
    with opened(browser, page, scheme="dark") as of:
        of.page.emulate_media(media="print", color_scheme="dark")
        assert ground(of) == "rgb(255, 255, 255)"
        assert not of.page.locator("#theme").is_visible()
        of.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert of.page.locator("details:not([open])").count() == 0
        assert of.page.locator(".part").first.is_visible()
        of.until("[...document.querySelectorAll('.chart')].every(of => of.querySelector('svg'))")
        assert len(of.page.pdf()) > 20_000
        assert of.complaints == []


def test_another_run_is_opened_by_its_link(browser, several):
    with opened(browser, several) as of:
        assert not of.page.locator("#run2 .answer").first.is_visible()
        of.page.get_by_role("link", name="another").click()
        assert of.page.locator("#run2 .answer").first.is_visible()
        of.all_drawn()
        assert of.complaints == []


def test_hostile_facts_are_nothing_but_text(browser, run, tmp_path):
    def poison(content):
        content["model"] = f"models/{HOSTILE}"
        content["facts"]["measured"][0]["text"] = HOSTILE
        content["facts"]["measured"][0]["target_true"] = "\u202eevil\u2028<b>"
        content["claims"]["universal"]["claims"] = HOSTILE
        content["findings"][0]["quantity"] = HOSTILE

    path = ks.report(changed(run, tmp_path / "results", poison), tmp_path / "hostile.html")
    with opened(browser, path) as of:
        of.page.on("dialog", lambda dialog: pytest.fail(f"a script of a fact ran: {dialog.message}"))
        of.all_drawn()
        assert of.page.locator("img").count() == 0
        assert of.complaints == []
        assert of.requests == [path.resolve().as_uri()]
        assert HOSTILE in of.page.locator("main").inner_text()
        assert HOSTILE in " ".join(
            of.page.evaluate("data = JSON.parse(document.querySelector('script.data').textContent).heatmap.facts")
        )
        assert "\\u202eevil\\u2028<b>" in of.page.content().replace("&lt;", "<").replace("&gt;", ">")


def test_planted_fault_a_script_of_others_does_not_run(browser, page, tmp_path):
    """What the policy is for: were a name not escaped, its script would still not run."""
    html = page.read_text(encoding="utf-8").replace(
        "<h1>", "<h1><script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"
    )
    path = tmp_path / "faulty.html"
    path.write_text(html, encoding="utf-8")
    with opened(browser, path) as of:
        assert of.page.evaluate("window.ran === undefined")
        assert any("Content Security Policy" in said for said in of.complaints)

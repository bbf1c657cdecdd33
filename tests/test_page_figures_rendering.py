"""Charts of the page as Vega-Lite takes them: they compile and draw without a warning, whoever named what is in it."""

import copy
import json
from itertools import combinations

import numpy as np
import pytest
import vl_convert
from page_results import dose, everything, family, lifelong, planted, seeds, stream

from ks_core.reporting.page.figures.chart import NEUTRAL, PALETTE
from ks_core.reporting.page.figures.every import figures_of
from ks_core.reporting.page.figures.heatmap import heatmap_of
from ks_core.reporting.page.figures.hottest import hottest_pairs

WHITE, NEAR_BLACK = "#ffffff", "#1a1a1a"

MOST_BYTES = 600_000
"""Of all specifications of a run of 30 layers and 128 facts: a ninth of the page's 5 MB, which the plotting library
(0.9 MB), the heatmap (1.3 MB) and the tables share with them."""

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "Town\x1b[2J\u202ereversed\nforged row",
    "{{ 7 * 7 }} {% raw %}",
    "a.b[0]['c']\\\"quoted\"",
    "datum.value === 1 || true",
    "word " * 60,
    "Łódź 東京 🙂",
    "__proto__",
]


def hostile(name):
    """Results in which everything that others name has this name."""
    methods = (name, f"{name}!", "joint")
    long_stream = lifelong()
    for curve in long_stream["curves"]:
        curve["method"], curve["setting"] = f"{name}{curve['method']}", f"{name}{curve['setting']}"
    for forecast in long_stream["forecasts"]:
        forecast["method"] = f"{name}{forecast['method']}"
    return planted(
        facts=6,
        name=f"{name}{{}}",
        model=f"models/{name}",
        editing={"stream": stream(methods), "dose": {**dose(), "relation": name}, "lifelong": long_stream},
        scaling=[family(name), family("llama")],
        seeds={**seeds(), "family": name, "by_seed": {name: seeds()["by_seed"]["1"]}},
    )


def compiled(spec, capfd):
    """Fails on whatever the compiler warns of."""
    vl_convert.vegalite_to_vega({**spec}, show_warnings=True)
    said = capfd.readouterr()
    assert "WARN" not in said.out + said.err, said


def rendered(spec, capfd, width=700):
    """The PNG file of a specification; fails on whatever the renderer warns of."""
    png = vl_convert.vegalite_to_png({**spec, "width": width}, show_warnings=True)
    said = capfd.readouterr()
    assert "WARN" not in said.out + said.err, said
    assert png.startswith(b"\x89PNG")
    return png


RESULTS = {
    "everything": everything,
    "one layer": lambda: everything(layers=1),
    "two facts": lambda: everything(facts=2),
    "no matrices": lambda: everything(matrices=False),
    "one method": lambda: planted(editing={"stream": stream(("joint",))}),
    "one family": lambda: planted(scaling=[family(sizes=(1000, 2000))]),
}


@pytest.mark.parametrize("name", RESULTS)
def test_every_figure_is_drawn_without_a_warning(name, capfd):
    for figure in figures_of(RESULTS[name]()):
        compiled(figure.spec, capfd)
        rendered(figure.spec, capfd)


def test_a_chart_that_warns_is_caught(capfd):
    """The planted fault: a scale that there is none of."""
    (figure,) = [of for of in figures_of(planted()) if of.name == "kurtosis"]
    spec = copy.deepcopy(dict(figure.spec))
    spec["layer"][1]["encoding"]["x"]["scale"] = {"type": "nonsense"}
    with pytest.raises(AssertionError, match="WARN"):
        rendered(spec, capfd)


def test_each_choice_of_a_chart_draws_something_else(capfd):
    for figure in figures_of(everything()):
        for place, choice in enumerate(figure.spec.get("params", [])):
            drawn = set()
            assert choice["value"] == choice["bind"]["options"][0]
            assert len(choice["bind"]["labels"]) == len(choice["bind"]["options"])
            for option in choice["bind"]["options"]:
                params = copy.deepcopy(figure.spec["params"])
                params[place]["value"] = option
                drawn.add(rendered({**figure.spec, "params": params}, capfd))
            few = {"number": 1}.get(choice["name"], len(choice["bind"]["options"]))  # the planted numbers are alike
            assert len(drawn) >= few, figure.name


@pytest.mark.parametrize("name", HOSTILE)
def test_whoever_named_what_is_drawn_it_is_text(name, capfd):
    results = hostile(name)
    figures = figures_of(results)
    assert len(figures) == 9
    for figure in figures:
        compiled(figure.spec, capfd)
        for text in (figure.caption, figure.alternative, json.dumps(figure.spec, ensure_ascii=False)):
            assert "\x1b" not in text
            assert "\u202e" not in text
            assert "\n" not in text
        json.dumps(figure.spec, allow_nan=False)
    heatmap = heatmap_of(results)
    assert len(heatmap.facts) == 6
    assert all(fact.isprintable() for fact in heatmap.facts)
    assert all(pair.edited.subject.isprintable() for pair in hottest_pairs(results))


def test_a_fact_that_is_a_script_keeps_its_name(capfd):
    results = hostile(HOSTILE[0])
    for figure in figures_of(results):
        rendered(figure.spec, capfd, width=340)
    assert hottest_pairs(results)[0].edited.subject.startswith("</script><script>alert(1)</script>")
    assert any("</script>" in fact for fact in heatmap_of(results).facts)


def test_specifications_of_a_large_run_are_small():
    results = everything(layers=30, facts=128, name="A subject of a rather long name, number {}")
    sizes = {figure.name: len(json.dumps(figure.spec)) for figure in figures_of(results)}
    assert len(sizes) == 10
    assert sum(sizes.values()) < MOST_BYTES, sizes
    assert len(heatmap_of(results).values) == 4 * (30 * 128 * 128 * 2 // 3)


def keys_of(value):
    """Every key in a specification, with its value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, item
            yield from keys_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from keys_of(item)


def test_no_chart_names_a_colour_of_text_or_background():
    ours = {*PALETTE, NEUTRAL}
    for figure in figures_of(everything()):
        for key, value in keys_of({**figure.spec}):
            assert key != "background"
            if isinstance(value, str) and value.startswith("#"):
                assert value in ours, (figure.name, key)
            assert not (key.endswith("Color") and key != "color"), (figure.name, key)


def test_no_series_is_told_by_its_colour_alone():
    for figure in figures_of(everything()):
        encodings = [layer["encoding"] for layer in figure.spec["layer"]]
        if any("color" in of for of in encodings):
            assert any({"shape", "strokeDash"} & of.keys() for of in encodings), figure.name


def test_charts_are_as_wide_as_their_place_and_say_what_their_bars_are():
    for figure in figures_of(everything()):
        assert figure.spec["width"] == "container"
        assert figure.spec["description"] == figure.title
        assert figure.spec["autosize"] == {"type": "fit", "contains": "padding"}
        assert "standard error" in figure.caption or "No bars" in figure.caption, figure.name
        assert figure.alternative.endswith(".")
        assert "None" not in figure.alternative
        assert "nan" not in figure.alternative.split()


def linear(colour):
    """Red, green and blue of a colour in linear light (sRGB)."""
    found = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(found <= 0.04045, found / 12.92, ((found + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """Of WCAG 2.1: from 1 to 21."""
    lights = sorted(float(linear(of) @ [0.2126, 0.7152, 0.0722]) + 0.05 for of in (one, other))
    return lights[1] / lights[0]


@pytest.mark.parametrize("colour", [*PALETTE, NEUTRAL])
def test_colours_are_seen_on_white_and_on_near_black(colour):
    assert contrast(colour, WHITE) >= 3
    assert contrast(colour, NEAR_BLACK) >= 3


# Machado, Oliveira and Fernandes (2009), table 1, severity 1: what each kind of colour blindness sees of linear light.
SEEN = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(rgb):
    """CIE L*a*b* of linear sRGB, D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.clip(to_xyz @ rgb, 0.0089, None) / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("kind", SEEN)
@pytest.mark.parametrize(("first", "least"), [(4, 15), (6, 10)])
def test_colours_differ_for_every_kind_of_eye(kind, first, least):
    """Pairwise, by so many times what can just be noticed: a distance of 2.3 in L*a*b* (Mahy and others, 1994)."""
    seen = [lab(np.clip(np.array(SEEN[kind]) @ linear(colour), 0, 1)) for colour in PALETTE[:first]]
    assert min(float(np.linalg.norm(one - other)) for one, other in combinations(seen, 2)) > least * 2.3

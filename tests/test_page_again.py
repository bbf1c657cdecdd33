"""The command on the page measures what the run measured: read by the command's own parser, it asks for the same."""

import shlex
from types import SimpleNamespace

import pytest
from page_results import planted, stream

from ks_core import defaults
from ks_core.cli.main import parser
from ks_core.experiments.request.settings import Settings
from ks_core.reporting.page.again import commands_of

EDITORS = ("their.package:edit", "their.package:Class.method")


def asked(content):
    """What `ks measure` would be asked for, by the first of the commands."""
    program, *words = shlex.split(commands_of(content, "results.json")[0])
    assert program == "ks"
    return parser().parse_args(words)


def content_of(parts=(), *, scaling=(), own_models="models", editors=(), **settings):
    """Of results with these parts besides the pairs."""
    of_part = {"stream": stream(("joint", *editors)), "lifelong": {"curves": [{"method": of} for of in editors]}}
    editing = {part: of_part.get(part, {"layers": (3,)}) for part in parts}
    every = vars(Settings(own_models=own_models, **settings))
    return planted(editing=editing, scaling=list(scaling)).content | {"settings": every}


FAMILY = {"family": "gpt2"}


@pytest.mark.parametrize(
    ("parts", "scaling", "measured"),
    [
        ((), (), ("pairs",)),
        (("dose",), (), ("pairs", "dose")),
        (("stream", "dose"), (FAMILY,), defaults.PARTS),
        (("lifelong", "long_dose", "capacity"), (), ("pairs", "lifelong", "capacity", "long_dose")),
        (defaults.ALL_PARTS[1:], (FAMILY,), defaults.ALL_PARTS),
    ],
)
def test_the_parts_are_those_that_were_measured(parts, scaling, measured):
    content = content_of([part for part in parts if part != "sizes"], scaling=scaling)
    assert asked(content).parts == measured
    assert ("--parts" in commands_of(content, "x")[0]) == (measured != defaults.PARTS)


def test_sizes_count_as_in_the_default_where_there_was_no_family_to_measure():
    assert asked(content_of(("stream", "dose"), model="gpt2")).parts == defaults.PARTS
    assert asked(content_of(("stream", "dose"), own_models=None)).parts == defaults.PARTS
    assert asked(content_of(("stream", "dose"))).parts == ("pairs", "stream", "dose"), "here there was one"


@pytest.mark.parametrize("part", ["stream", "lifelong"])
def test_the_editors_are_those_that_ran(part):
    assert tuple(asked(content_of((part,), editors=EDITORS)).editor) == EDITORS
    assert asked(content_of((part,))).editor == []


def test_a_dose_of_which_nothing_came_was_measured():
    content = content_of(("stream",), own_models=None)
    content["editing"] = {**content["editing"], "dose": None}
    assert asked(content).parts == defaults.PARTS


def test_settings_are_those_of_the_run():
    given = {"model": "a model", "num_facts": 64, "layers": (0, 3), "ridge": 0.5, "families": (("a", "b"), ("c", "d"))}
    options: SimpleNamespace = asked(content_of(("stream",), **given))
    assert options.model == "a model"
    assert (options.num_facts, options.ridge, tuple(options.layers)) == (64, 0.5, (0, 3))
    assert tuple(map(tuple, options.families)) == (("a", "b"), ("c", "d"))

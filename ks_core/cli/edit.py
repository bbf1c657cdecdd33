"""`ks edit EDITS --out DIR`: edits as a file that plain PEFT loads, measured after it was written."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ks_core import defaults
from ks_core.cli.arguments import Add, declare_keep, declare_limits, declare_model, declare_text, warn
from ks_core.cli.dry_run import declare_dry_run, dry_run_of_edits
from ks_core.cli.given_moments import check_moments, declare_moments, moments_given
from ks_core.cli.output import check_json, declare_output, write_json
from ks_core.cli.records import patch_record
from ks_core.command import given, integer, path
from ks_core.data.facts import PACKAGED_FACTS, Fact, FactSet, load_facts
from ks_core.errors import InputError
from ks_core.formatting import one_line, quoted, shown

if TYPE_CHECKING:
    from ks_core.data.corpus import Corpus
    from ks_core.measurement.moments.second_moments import SecondMoments
    from ks_core.models.loaded import LoadedModel
    from ks_core.patches.folder import StoredPatch
    from ks_core.patches.patch import Patch

HELP = "make edits and write them as an adapter or a model"

DESCRIPTION = (
    "Make edits and write them as a folder: a LoRA adapter that plain PEFT loads, merges and removes, or the model "
    "with the edits in it. What they would break is simulated first, and nothing is written where that is more than "
    "allowed, or where edits contradict each other (exit status 1). What is written is loaded again and measured; the "
    "numbers stand beside it in certificate.json."
)

EXAMPLES = (
    "ks edit edits.json --out my-edits",
    "ks edit edits.json --out my-edits --model toy --layer 0 --method protected --protect keep.json",
)

FORMAT = "ks_core/edited/1"

FINDING = "a limit is broken, a value is not reached or edits contradict each other; nothing is written"

METHODS = ("joint", "sequential", "null-space", "protected")

UNLESS_ONTO = {
    "model": defaults.MODEL,
    "device": defaults.DEVICE,
    "dtype": defaults.DTYPE,
    "corpus": defaults.CORPUS,
    "tokens": defaults.TOKENS,
    "ridge": 0.0,
    "method": METHODS[0],
    "kind": "adapter",
}
"""What is taken where nothing is given. With --onto it is as in the folder, but for two: the device, and the corpus, of
which a folder knows the name and the hash but not the place, so that another one than this has to be given."""


def declare(add: Add) -> None:
    """The arguments."""

    def without_default(*names: str, **settings: Any) -> None:
        """So that what was given can be told from what was not, and --onto can take the folder's own."""
        said = settings.get("help", "") % {"default": settings.get("default")}
        add(*names, **{**settings, "default": None, "help": said.replace("%", "%%")})

    add("edits", metavar="EDITS", type=given, help="facts whose target_new is to become true: CounterFact JSON or ours")
    add("--out", type=path, metavar="DIR", help="the folder to write, which must not be there yet")
    add("--onto", type=path, metavar="DIR", help="add the edits to those of this folder; with --out DIR stays as it is")
    add("--as", dest="kind", choices=("adapter", "model"), help="what to write (default: adapter)")
    without_default("--method", choices=METHODS, help="how the edits are made (default: joint)")
    add("--protect", type=given, metavar="FILE", help="facts that must not change, for --method protected")
    add("--layer", type=integer(), help="layer to edit (default: as ks audit chooses it, with --onto the folder's one)")
    declare_keep(add)
    declare_limits(add)
    declare_model(without_default)
    declare_text(without_default)
    declare_moments(add)
    add("--allow-unreached", action="store_true", help="write edits too whose value does not make their object likely")
    add("--no-certificate", action="store_true", help="do not measure what was written")
    declare_dry_run(add)
    declare_output(add)


def execute(options: argparse.Namespace) -> int:
    """Make, simulate, write, measure and say how to load it; 1 where a limit is broken and nothing was written."""
    from ks_core.auditing.gate import Limits
    from ks_core.measurement.readable import facts_to_keep
    from ks_core.models.loading import load_model
    from ks_core.patches.measuring import inputs_for
    from ks_core.patches.report import not_asked, report
    from ks_core.patches.review import contradictions, review
    from ks_core.patches.writing import Measuring, write

    limits = Limits(options.fail_over, options.fail_overtaken)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        asked = _read(options)
        if options.dry_run:
            return dry_run_of_edits(options, len(asked.facts), asked.keep)
        stops = contradictions(asked.every, options.method)
        if stops:
            return _stopped(options, stops)
        model = load_model(options.model, revision=options.revision, device=options.device, dtype=options.dtype)
        keep = facts_to_keep(model, _known(model, asked.keep, options).facts, asked.every)
        patch = _made(model, asked, keep.facts, options)
        found = review(model, patch, keep.facts, limits)
        unreached = () if options.allow_unreached else found.failing
        stops = [*found.broken, *(found.unreached if options.strict else unreached)]
        if not stops:
            measuring = None
            if not options.no_certificate:
                measuring = Measuring(model, inputs_for(model, patch.edits, keep.facts, asked.corpus), found.predicted)
            certificate = write(patch, asked.place, measuring)
    warn(said)
    if stops:
        tried = f"tried in layer {', '.join(map(str, patch.layers))}"
        remedy = ": try another (--layer), leave edits out, or write them all the same (--allow-unreached)"
        details = [*found.worst, *not_asked(keep.left_out), tried + (remedy if unreached else "")]
        return _stopped(options, stops, details)
    folder = options.onto if options.out is None else options.out
    made = {"written": True, "folder": str(folder), "failed": []}
    write_json(options.json, FORMAT, made | patch_record(patch, certificate))
    print(report(patch, folder, found, certificate, keep.left_out))
    return 0


def _stopped(options: argparse.Namespace, reasons: Sequence[str], details: Sequence[str] = ()) -> int:
    write_json(options.json, FORMAT, {"written": False, "failed": list(reasons), "details": list(details)})
    for reason in reasons:
        print(f"ks edit: FAILED: {one_line(reason)}", file=sys.stderr)
    for detail in details:
        print(f"  {one_line(detail)}", file=sys.stderr)
    print("nothing was written", file=sys.stderr)
    return 1


@dataclass(frozen=True, eq=False)
class _Asked:
    """What was asked for, read and checked.

    Attributes:
        facts: to edit
        keep: to keep
        text: name of the corpus, of the second moments and of held-out text
        stored: the folder that the edits are added to, if there is one
        place: to write to: a new folder, or `stored`
    """

    facts: FactSet
    keep: FactSet
    text: str
    stored: StoredPatch | None
    place: Path | StoredPatch

    @cached_property
    def corpus(self) -> Corpus:
        """The text, read when it is first asked for."""
        from ks_core.data.corpus import load_corpus

        return load_corpus(self.text)

    @property
    def every(self) -> tuple[Fact, ...]:
        """All edits, those that are there and the new ones."""
        return (*(() if self.stored is None else self.stored.patch.facts), *self.facts)


def _read(options: argparse.Namespace) -> _Asked:
    """The files that were given and the places to write to, before a model is loaded; fills in what was not given."""
    from ks_core.patches.folder import check_new_folder, check_patch_folder, read_patch
    from ks_core.patches.patch import refuse_repeated

    read = {"EDITS": options.edits, "--keep": options.keep, "--protect": options.protect, "--onto": options.onto}
    check_json(options.json, {**read, "--moments": options.moments, "--corpus": options.corpus})
    check_moments(options, tokens=None)
    facts, keep = load_facts(options.edits, "EDITS"), load_facts(options.keep, "--keep")
    if options.protect is not None:
        load_facts(options.protect, "--protect")  # before a model is loaded
    stored = None
    if options.onto is not None:
        stored = read_patch(options.onto)
        _fill_in_from(stored, options)
        refuse_repeated([*stored.patch.facts, *facts])
    for name, value in UNLESS_ONTO.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.out is not None:
        check_new_folder("--out", options.out, options.model)
        place: Path | StoredPatch = options.out
    elif stored is None:
        raise InputError("--out is missing; expected a folder to write: --out DIR, or --onto DIR to add to one")
    else:
        check_patch_folder("--onto", options.onto)
        place = stored
    asked = _Asked(facts, keep, options.corpus, stored, place)
    if not options.dry_run:  # for which nothing is fetched
        _require_text_of(asked, options)
    return asked


def _require_text_of(asked: _Asked, options: argparse.Namespace) -> None:
    """Refuse a corpus with other texts than the folder's edits were made with; its name changes no number."""
    corpus, stored = asked.corpus, asked.stored
    if stored is None:
        return
    made_from = stored.patch.like(options.layer).moments.provenance
    if not made_from.text_known and options.moments is None:
        raise InputError(
            f"the edits in {options.onto} were made with imported second moments; expected the same files: "
            "--moments PATH"
        )
    if made_from.text_known and corpus.sha256 != made_from.corpus_sha256:
        raise InputError(
            f"the corpus is {quoted(corpus.name)} (sha256 {corpus.sha256[:12]}), and the edits in {options.onto} were "
            f"made with {quoted(made_from.corpus)} (sha256 {made_from.corpus_sha256[:12]}); expected that very text: "
            "give its place with --corpus"
        )


def _fill_in_from(stored: StoredPatch, options: argparse.Namespace) -> None:
    """Of a folder's own settings what was not given; refuse what was and is another."""
    patch = stored.patch
    there = patch.like(options.layer)
    fixed = {"method": there.method, "ridge": there.ridge, "tokens": there.moments.provenance.tokens}
    if options.out is None:
        fixed["kind"] = patch.kind
    for name, own in fixed.items():
        if getattr(options, name) not in (None, own):
            option = "as" if name == "kind" else name
            raise InputError(
                f"--{option} is {shown(getattr(options, name))}, and {shown(own)} in {options.onto}; expected the "
                "same, as all edits of a folder are made alike: leave it out"
            )
    if options.protect is not None and load_facts(options.protect, "--protect").facts != there.protected:
        raise InputError(
            f"--protect names other facts than the {len(there.protected)} that {options.onto} protects; expected the "
            "same: leave it out"
        )
    if options.model is None:
        options.model, options.revision = patch.base.name, patch.base.commit
    own_settings = {**fixed, "kind": patch.kind, "layer": there.layer, "dtype": patch.base.dtype}
    for name, own in own_settings.items():
        if getattr(options, name) is None:
            setattr(options, name, own)


def _known(model: LoadedModel, keep: FactSet, options: argparse.Namespace) -> FactSet:
    from ks_core.measurement.known import known_facts

    return keep.subset(known_facts(model, keep).case_ids) if options.keep == PACKAGED_FACTS else keep


def _made(model: LoadedModel, asked: _Asked, kept: tuple[Fact, ...], options: argparse.Namespace) -> Patch:
    """The patch that is to be written."""
    from ks_core.measurement.moments.collecting import collect_second_moments
    from ks_core.patches.edits import edit
    from ks_core.patches.patch import Patch
    from ks_core.patches.saving import appended

    layers = None if options.layer is None else [model.adapter.layer_number(options.layer)]
    moments = moments_given(options, model, layers)
    if moments is None:
        moments = collect_second_moments(model, asked.corpus, tokens=options.tokens, layers=layers)
    if asked.stored is not None:
        patch = appended(model, asked.stored.patch, asked.facts, options.layer, moments)
        return replace(patch, kind=options.kind)
    layer = _cheapest(model, moments, asked.facts, kept, options.ridge) if layers is None else layers[0]
    protect = None if options.protect is None else load_facts(options.protect, "--protect")
    edits = edit(model, asked.facts, layer, options.method, protect=protect, moments=moments, ridge=options.ridge)
    return Patch(options.kind, (edits,))


def _cheapest(model: LoadedModel, moments: SecondMoments, facts: FactSet, kept: tuple[Fact, ...], ridge: float) -> int:
    """The layer that an audit chooses."""
    from ks_core.auditing.layers import choose_layer, tried_layers
    from ks_core.measurement.values import ValueSettings
    from ks_core.measurement.whitening import TextWhitening

    tried = tried_layers(moments.layers, model.adapter.num_layers)
    _, layer, _ = choose_layer(model, TextWhitening(moments, ridge), tried, facts.facts, kept, ValueSettings())
    return layer

"""--dry-run of the commands that read what was edited: `ks verify`, `ks undo` and `ks diff`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ks_core.cli.dry_run import refuse_what_no_model_could_use, said
from ks_core.data.facts import PACKAGED_FACTS, load_facts

if TYPE_CHECKING:
    from ks_core.models.listing import ModelEntry
    from ks_core.patches.certificate import Inputs
    from ks_core.patches.folder import StoredPatch
    from ks_core.patches.patch import Patch
    from ks_core.reporting.dry_run import Step


def dry_run_of_verify(options: argparse.Namespace) -> int:
    """What `ks verify` would take: hashes of the folder, and the certificate's numbers measured again.

    Raises:
        KsError: no certificate, a damaged one, or a base that cannot be found.
    """
    from ks_core.models.listing import listed
    from ks_core.patches.certificate import read_certificate, read_inputs
    from ks_core.reporting import dry_steps
    from ks_core.reporting.dry_run import Step

    refuse_what_no_model_could_use(options)
    folder = Path(options.folder)
    certificate, inputs = read_certificate(folder), read_inputs(folder)
    (base,) = listed(options.model or str(certificate.base["name"]))
    there = [folder / name for name in certificate.files if (folder / name).is_file()]
    tokens = _tokens(len(certificate.edits), inputs)
    steps = [
        *dry_steps.model_steps(base),
        dry_steps.hashed_step(len(there), sum(path.stat().st_size for path in there)),
        Step("measured", f"{len(certificate.edits)} edits and {len(inputs.keep)} facts to keep, again", tokens),
    ]
    return said(options, base.name, base.parameters, steps)


def dry_run_of_undo(options: argparse.Namespace, stored: StoredPatch, patch: Patch, measured: bool) -> int:
    """What `ks undo` would take.

    Args:
        options: of the command.
        stored: as it is; what would be written is no larger.
        patch: what would be left of it.
        measured: whether its certificate is made anew.

    Raises:
        KsError: a base that cannot be found, where it is to measure with.
    """
    from ks_core.models.listing import listed
    from ks_core.patches.certificate import read_inputs
    from ks_core.reporting import dry_steps
    from ks_core.reporting.dry_run import Step

    size = sum(path.stat().st_size for path in stored.folder.rglob("*") if path.is_file())
    detail = f"the folder anew with {len(patch.facts)} edits, beside the old one until it is whole"
    if not measured:
        return said(options, stored.patch.base.name, 0, [Step("written", detail, output=size)])
    (base,) = listed(options.model or stored.patch.base.name)
    tokens = _tokens(len(patch.facts), read_inputs(stored.folder))
    written = Step("written", f"{detail}, measured", tokens, output=size)
    return said(options, base.name, base.parameters, [*dry_steps.model_steps(base), written])


def dry_run_of_diff(options: argparse.Namespace) -> int:
    """What `ks diff` would take; which layers differ is not known yet, so of second moments the most that it can be.

    Raises:
        KsError: models, facts or text that the command could not use.
    """
    from ks_core.measurement.moments.planning import check_halves
    from ks_core.models.listing import listed
    from ks_core.patches.loading import is_adapter
    from ks_core.reporting import dry_steps
    from ks_core.theory.whitening import check_ridge

    refuse_what_no_model_could_use(options)
    check_ridge(options.ridge)
    steps = _asked_steps(options)  # files of facts are read first, as the command does
    (base,) = listed(options.base, revision=options.revision)
    models = [base] if is_adapter(Path(options.edited)) else [base, *listed(options.edited)]
    fetched = {model.name: dry_steps.model_steps(model) for model in models}
    moments: list[Step] = []
    if options.corpus is not None:
        check_halves(options.tokens, base.d_key)
        moments = [*dry_steps.text_steps(options.corpus), _most(base, options.tokens)]
    every = [*(step for of in fetched.values() for step in of), dry_steps.compared_step(base), *moments, *steps]
    return said(options, base.name, base.parameters, every)


def _most(base: ModelEntry, tokens: int) -> Step:
    from ks_core.reporting import dry_steps

    step = dry_steps.moments_step(base, tokens, None)
    return replace(step, detail=f"second moments of the layers that differ, {base.layers} at most", cached=None)


def _asked_steps(options: argparse.Namespace) -> list[Step]:
    """Asking both models for facts, and reading a text with both."""
    from ks_core.experiments.streams.setup import HELD_OUT_TOKENS
    from ks_core.reporting import dry_steps
    from ks_core.reporting.dry_run import Step

    edits = () if options.edits is None else load_facts(options.edits, "edits").facts
    keep = None if options.keep is None else load_facts(options.keep, "facts to keep")
    if not edits and keep is None and options.corpus is None:
        return []
    kept = 0 if keep is None else len(keep)
    text = 0 if options.corpus is None else HELD_OUT_TOKENS
    known = [dry_steps.known_step(keep)] if keep is not None and options.keep == PACKAGED_FACTS else []
    detail = f"{len(edits)} edits and {kept} facts to keep, of both models"
    return [*known, Step("answers", detail, dry_steps.answers_tokens(len(edits), kept, text))]


def _tokens(edits: int, inputs: Inputs) -> int:
    from ks_core.reporting import dry_steps

    return dry_steps.answers_tokens(edits, len(inputs.keep), sum(map(len, inputs.text)))

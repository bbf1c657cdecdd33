"""--dry-run: what a command would take, said before anything is done."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ks_core import defaults
from ks_core.cli.arguments import Add
from ks_core.cli.output import write_json
from ks_core.data.facts import PACKAGED_FACTS

if TYPE_CHECKING:
    from ks_core.data.facts import FactSet
    from ks_core.models.listing import ModelEntry
    from ks_core.reporting.dry_run import Step


def declare_dry_run(add: Add) -> None:
    """--dry-run: of commands that take long."""
    add(
        "--dry-run",
        action="store_true",
        help="say what would be done, how long about and with how much disk; do, write and download nothing",
    )


def told(options: argparse.Namespace, steps_of: Callable[[ModelEntry], list[Step]]) -> int:
    """Say what a command on --model would take, of the model's config alone; --json gets it too.

    Raises:
        KsError: inputs that the command could not use.
    """
    from ks_core.measurement.moments.planning import check_halves
    from ks_core.models.listing import listed

    refuse_what_no_model_could_use(options)
    (model,) = listed(options.model, revision=options.revision)
    if getattr(options, "moments", None) is None:
        check_halves(options.tokens or defaults.TOKENS, model.d_key)
    return said(options, model.name, model.parameters, steps_of(model))


def said(options: argparse.Namespace, model: str, parameters: int, steps: Sequence[Step]) -> int:
    """Print what steps on a model come to; --json gets it too."""
    from ks_core.reporting.dry_run import FORMAT, DryRun, measured_speed

    found = DryRun(options.command, model, parameters, measured_speed(), steps)
    write_json(options.json, FORMAT, found.record())
    print(found.text())
    return 0


def refuse_what_no_model_could_use(options: argparse.Namespace) -> None:
    """What a run refuses as it loads its model and its text, without either; a command need not have all of these."""
    from ks_core.data.corpus import check_corpus
    from ks_core.models.dtypes import dtype_of
    from ks_core.models.loading import checked_device

    dtype_of(getattr(options, "dtype", None) or defaults.DTYPE)
    checked_device(options.device or defaults.DEVICE)
    check_corpus(getattr(options, "corpus", None) or defaults.CORPUS)


def dry_run_of_edits(options: argparse.Namespace, edits: int, keep: FactSet) -> int:
    """What `ks audit` or `ks edit` would take.

    Args:
        options: of the command.
        edits: how many are asked for.
        keep: facts to keep; of the packaged ones as many as there are, though the model may know fewer.
    """
    from ks_core.reporting import dry_steps

    layers = getattr(options, "layers", None) if options.layer is None else [options.layer]
    own = options.moments is not None

    def steps(model: ModelEntry) -> list[Step]:
        made = [
            *dry_steps.fetch_steps(model, None if own else options.corpus),
            *([dry_steps.known_step(keep)] if options.keep == PACKAGED_FACTS else []),
            *([] if own else [dry_steps.moments_step(model, options.tokens, layers)]),
        ]
        if options.command == "edit":
            last = dry_steps.folder_step(model, options.kind, edits, len(keep), options.no_certificate)
            return [*made, *dry_steps.simulated_steps(model, edits, len(keep), edits), last]
        return made + dry_steps.simulated_steps(model, edits, len(keep), _exact(options, len(keep)))

    return told(options, steps)


def _exact(options: argparse.Namespace, kept: int) -> int:
    from ks_core.auditing.predict import EXACT

    if options.exact == "all":
        return kept
    return EXACT if options.exact is None else int(options.exact)

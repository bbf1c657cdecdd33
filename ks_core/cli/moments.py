"""`ks moments MODEL`: second moments at any size, planned before, within memory, by one process or many."""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ks_core import defaults
from ks_core.cli.arguments import Add, declare_spread, loading, warn
from ks_core.cli.moments_plan import planned, room_for_weights, timed
from ks_core.cli.output import check_json, declare_output, write_json
from ks_core.command import given, integer, integers, number, path, size
from ks_core.data.facts import PACKAGED_FACTS
from ks_core.errors import InputError
from ks_core.formatting import printable

if TYPE_CHECKING:
    from ks_core.data.corpus import Corpus
    from ks_core.measurement.moments.ranks import Ranks
    from ks_core.measurement.moments.second_moments import SecondMoments
    from ks_core.models.loaded import LoadedModel

HELP = "collect second moments of keys over text, within a budget of memory, by one process or many"

DESCRIPTION = (
    "Collect C = E[k k^T] of each layer's keys over a text, in as few passes over it as fit into memory, with "
    "checkpoints; what was collected stays in the cache, and more text goes on where less ended. Several processes: "
    "torchrun --nproc-per-node N -m ks_core.cli moments MODEL ..."
)

EXAMPLES = (
    "ks moments toy --tokens 50000",
    "ks moments gpt2 --tokens auto --facts counterfact.json --export stats",
)

FORMAT = "ks_core/collected/1"

FINDING = ""


def declare(add: Add) -> None:
    """The arguments."""
    add("model", metavar="MODEL", type=given, help="packaged model, local folder or hub id")
    add("--corpus", type=given, default=defaults.CORPUS, help="name, file, folder or hub:dataset:config:split")
    add(
        "--tokens",
        type=_tokens,
        default=defaults.TOKENS,
        metavar="N",
        help="of it (default: %(default)s); 'auto': enough",
    )
    add("--layers", type=integers, metavar="L,L", help="which (default: all)")
    add("--memory", type=size, metavar="SIZE", help="of the device, or of the process on a CPU, such as 40GB")
    add("--batch-tokens", type=integer(1), default=defaults.BATCH_TOKENS, metavar="N", help="of a forward pass")
    add(
        "--longest-text",
        type=_longest,
        default=defaults.LONGEST_TEXT,
        metavar="N",
        help="tokens after which a text is cut (default: %(default)s); 'context': the model's context, as peers do",
    )
    add("--dry-run", action="store_true", help="say what it would take, and collect, write and download nothing")
    add(
        "--rate", type=number, metavar="TOKENS", help="a second, for the time of a --dry-run; or let --batches be timed"
    )
    add("--batches", type=integer(0), default=0, metavar="N", help="with --dry-run: load the model and time N batches")
    add("--export", type=path, metavar="DIR", help="write files of another project below DIR, its stats_dir")
    add("--layout", type=given, default="rome", help="rome, memit, pmet, kis, alphaedit, easyedit or anyedit")
    add("--replace", action="store_true", help="with --export: write over files that are there")
    add("--samples", type=integer(1), metavar="N", help="articles that it asks for (default: as many as were read)")
    _declare_enough(add)
    add("--revision", type=given, help="branch, tag or commit of a hub model")
    add("--device", type=given, default=defaults.DEVICE, help="torch device (default: %(default)s)")
    add("--dtype", type=given, default=defaults.DTYPE, help="of the forward passes (default: %(default)s)")
    declare_spread(add)
    declare_output(add)


def _declare_enough(add: Add) -> None:
    """What `--tokens auto` looks at, and when it has enough."""
    add("--facts", metavar="FILE", type=given, default=PACKAGED_FACTS, help="with --tokens auto: whose P is looked at")
    add("--num-facts", type=integer(3), default=defaults.NUM_FACTS, metavar="N", help="of them (default: %(default)s)")
    add(
        "--share", type=number, default=0.5, help="of the facts error that the text error may be (default: %(default)s)"
    )
    add("--floor", type=integer(2), default=10, metavar="N", help="tokens a dimension at least (default: %(default)s)")
    add(
        "--ridge", type=number, default=0.0, help="with --tokens auto: of P, in mean eigenvalues (default: %(default)g)"
    )
    add("--trace", type=path, metavar="FILE", help="with --tokens auto: write how it was found, as JSON")


def execute(options: argparse.Namespace) -> int:
    """Plan, collect, export; only the first of several processes says anything."""
    from ks_core.measurement.moments.processes import ranks_of_environment

    with ranks_of_environment(cuda=options.device.startswith("cuda")) as ranks:  # inside, an error is said once
        _check(options)
        if options.dry_run and not options.batches:
            return planned(options) if ranks.is_first else 0
        return _collected(options, ranks)


def _tokens(text: str) -> int | None:
    return None if text == "auto" else integer(1)(text)


def _longest(text: str) -> int | None:
    return None if text == "context" else integer(1)(text)


def _check(options: argparse.Namespace) -> None:
    """Refuse before the work what could not be done after it."""
    from ks_core.measurement.moments.peers.names import model_folder
    from ks_core.outputs import check_folder, check_output
    from ks_core.theory.whitening import check_ridge

    check_ridge(options.ridge)
    loading(options)  # refuses a device and a map at once
    if options.rate is not None and not options.rate > 0:
        raise InputError(f"--rate is {options.rate}; expected tokens a second, more than 0")
    if options.batches and not options.dry_run:
        raise InputError("--batches was given without --dry-run, where nothing is timed; expected both or neither")
    if options.trace is not None and options.tokens is not None:
        raise InputError("--trace was given without --tokens auto, which alone looks for an amount; leave it out")
    if options.dry_run and options.tokens is None:
        raise InputError(
            "--dry-run was given with --tokens auto, which nobody knows before; expected a number of tokens"
        )
    if options.export is not None:
        check_folder("--export", options.export)
        model_folder(options.model, options.layout)  # raises where there is no such project
    check_json(options.json, {"--facts": options.facts, "--corpus": options.corpus, "MODEL": options.model})
    if options.trace is not None:
        check_output("--trace", options.trace, {"--facts": options.facts, "--corpus": options.corpus})


def _collected(options: argparse.Namespace, ranks: Ranks) -> int:
    from ks_core.data.corpus import load_corpus
    from ks_core.models.loading import load_model
    from ks_core.reporting.moments import collection_text, plan_text

    asked = loading(options)
    if asked["device"] is not None:
        asked["device"] = ranks.device(asked["device"])
    elif options.memory is not None:
        asked["max_memory"] = room_for_weights(options)
    with _said_by_the_first(ranks):
        with ranks.first_then_others():
            if asked["device_map"] is not None:
                ranks.require_own_node()
            model, corpus = load_model(options.model, **asked), load_corpus(options.corpus)
        if options.dry_run:
            plan, rate = timed(options, model, corpus)
            if ranks.is_first:
                print(plan_text(plan, options.memory, rate.tokens_per_second, rate))
            return 0
        start = time.perf_counter()
        moments = _moments(options, model, corpus, ranks)
        seconds = time.perf_counter() - start
    if ranks.is_first:
        print(collection_text(moments, seconds, ranks.size))
        exported = _export(options, model, moments)
        write_json(options.json, FORMAT, _record(moments, seconds, ranks.size, exported))
    return 0


@contextmanager
def _said_by_the_first(ranks: Ranks) -> Iterator[None]:
    """Print warnings when the block ends, however it does."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        try:
            yield
        finally:
            if ranks.is_first:
                warn(said)


def _moments(options: argparse.Namespace, model: LoadedModel, corpus: Corpus, ranks: Ranks) -> SecondMoments:
    """So much text as was asked for, or as is enough."""
    from ks_core.measurement.moments.collecting import collect_second_moments

    def collect(tokens: int) -> SecondMoments:
        return collect_second_moments(
            model,
            corpus,
            tokens=tokens,
            layers=options.layers,
            batch_tokens=options.batch_tokens,
            longest_text=options.longest_text,
            memory=options.memory,
            ranks=ranks,
        )

    return collect(options.tokens) if options.tokens is not None else _enough(options, model, collect, ranks)


def _enough(
    options: argparse.Namespace, model: LoadedModel, collect: Callable[[int], SecondMoments], ranks: Ranks
) -> SecondMoments:
    from ks_core.data.facts import load_facts
    from ks_core.experiments.pairs.enough import enough_text
    from ks_core.experiments.request.selection import select_facts
    from ks_core.measurement.keys import subject_keys
    from ks_core.measurement.moments.second_moments import layers_of
    from ks_core.reporting.moments import enough_lines, write_trace

    with ranks.first_then_others():  # the first asks what is known, the others find the answers cached
        facts = select_facts(model, load_facts(options.facts), options.num_facts).measured
    keys = subject_keys(model, facts, layers_of(model, options.layers))
    found = enough_text(collect, keys, share=options.share, floor=options.floor, ridge=options.ridge, ranks=ranks)
    if ranks.is_first:
        print("\n".join(enough_lines(found, len(facts))))
        if options.trace is not None:
            write_trace(options.trace, found, len(facts))
    return found.moments


def _record(moments: SecondMoments, seconds: float, processes: int, exported: Sequence[Path]) -> dict[str, Any]:
    return {
        "provenance": vars(moments.provenance),
        "layers": moments.layers,
        "texts": moments.texts,
        "folder": str(moments.folder),
        "seconds": seconds,
        "processes": processes,
        "exported": [str(path) for path in exported],
    }


def _export(options: argparse.Namespace, model: LoadedModel, moments: SecondMoments) -> Sequence[Path]:
    if options.export is None:
        return ()
    from ks_core.measurement.moments.peers.exported import export_moments

    samples = options.samples or moments.texts
    paths = export_moments(
        moments, options.export, model, samples=samples, layout=options.layout, replace=options.replace
    )
    print(f"written for {options.layout}: {len(paths)} files, mom2_n_samples {samples:,}, {printable(paths[0])} ...")
    return paths

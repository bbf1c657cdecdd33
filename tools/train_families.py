"""`python tools/train_families.py`: train families of small models into a folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

import torch

from ks_core import defaults
from ks_core.command import Parser, given, integer, path, run
from ks_core.data.corpus import load_corpus
from ks_core.data.facts import load_facts
from ks_core.formatting import printable

DEPTHS = (2, 3, 4, 6)
TOKENS = 2_000_000
"""as many as let each article be read once beside the facts"""

MOST_LAYERS, MOST_TOKENS = 64, 10**12
"""far beyond what these families are for: 64 layers are 2.5 billion parameters"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what was asked for, smallest first; what is there already is left alone."""
    return run(
        "train_families",
        partial(_train, arguments),
        interrupted="interrupted; the same command goes on from the last checkpoint, if there is one",
    )


def _train(arguments: Sequence[str] | None) -> int:
    # here, so that what is not installed is one clear error
    from training.family import Course, Member

    options = _parser().parse_args(arguments)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    course = Course(load_corpus(options.corpus), load_facts(options.facts))
    for depth in sorted(options.depth):
        for family in options.family:
            member = Member(family, depth, options.seed)
            made = course.make(member, options.folder, tokens=options.tokens, device=device)
            print(printable(made), flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    from training.architectures import FAMILIES
    from training.family import LARGEST_SEED

    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("folder", type=path, help="where the models' folders are made")
    add("--family", nargs="+", choices=FAMILIES, default=list(FAMILIES), help="default: all three")
    add("--depth", nargs="+", type=integer(1, MOST_LAYERS), default=list(DEPTHS), help="layers (default: 2 3 4 6)")
    add("--seed", type=integer(0, LARGEST_SEED), default=0, help="of weights and order (default: 0)")
    add("--tokens", type=integer(1, MOST_TOKENS), default=TOKENS, help="to train on (default: 2000000)")
    add("--device", type=given, help="torch device (default: cuda where there is one)")
    add("--corpus", type=given, default=defaults.CORPUS, help="as --ks-corpus")
    add("--facts", type=given, default="packaged", help="facts to state (default: packaged)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

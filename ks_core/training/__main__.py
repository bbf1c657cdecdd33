"""`python -m ks_core.training`: train families of small models into a folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from ks_core.data.corpus import load_corpus
from ks_core.data.facts import load_facts
from ks_core.errors import KsError
from ks_core.training.architectures import FAMILIES
from ks_core.training.family import Course, Member

DEPTHS = (2, 3, 4, 6)
TOKENS = 2_000_000
"""as many as let each article be read once beside the facts"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Train what was asked for, smallest first; what is there already is left alone."""
    given = _parser().parse_args(arguments)
    device = given.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        course = Course(load_corpus(given.corpus), load_facts(given.facts))
        for depth in sorted(given.depth):
            for family in given.family:
                member = Member(family, depth, given.seed)
                print(course.make(member, given.folder, tokens=given.tokens, device=device), flush=True)
    except (KsError, OSError) as error:
        print(f"ks_core.training: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint, if there is one", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ks_core.training", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the models' folders are made")
    parser.add_argument("--family", nargs="+", choices=FAMILIES, default=list(FAMILIES), help="default: all three")
    parser.add_argument("--depth", nargs="+", type=int, default=list(DEPTHS), help="layers (default: 2 3 4 6)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order (default: 0)")
    parser.add_argument("--tokens", type=int, default=TOKENS, help="to train on (default: 2000000)")
    parser.add_argument("--device", help="torch device (default: cuda where there is one)")
    parser.add_argument("--corpus", default="wikipedia-introductions", help="as --ks-corpus")
    parser.add_argument("--facts", default="packaged", help="facts to state (default: packaged)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

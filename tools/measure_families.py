"""Measure the trained models of `fixtures/models`: exact references for tests, and what other seeds of training gave.

python tools/measure_families.py references     # fixtures/models/statistics.json
python tools/measure_families.py seeds SEEDS    # fixtures/models/seeds.json, from the models in the folder SEEDS
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ks_core.command import Parser, path, run
from ks_core.errors import InputError
from ks_core.extras import require

MODELS = Path(__file__).resolve().parents[1] / "fixtures" / "models"
FAMILY = "gpt_neox"
"""The family that was trained from other seeds."""


def references() -> dict[str, Any]:
    """Statistics of every model in float64, with everything they depend on."""
    from reference_statistics import TOKENS, reference_statistics, statements_corpus

    from ks_core.data.facts import packaged_facts
    from ks_core.experiments.sizes.choice import own_families
    from ks_core.measurement.known import known_facts
    from ks_core.models.loading import load_model

    facts, corpus = packaged_facts(), statements_corpus()
    models = {}
    for folder in (Path(folder) for folders in own_families(MODELS).values() for folder in folders):
        model = load_model(folder, dtype="float64")
        measured = facts.subset(known_facts(model, facts).case_ids[:128])
        models[folder.name] = {
            "weights_sha256": model.weights_sha256,
            "case_ids": [fact.case_id for fact in measured],
            "statistics": reference_statistics(model, measured, corpus),
        }
        print(folder.name, flush=True)
    return {"corpus_sha256": corpus.sha256, "tokens": TOKENS, "facts_sha256": facts.sha256, "models": models}


def seeds(folder: Path) -> dict[str, Any]:
    """Numbers by layer of models of other seeds, on the facts that those of seed 0 are measured on."""
    from ks_core.data.corpus import load_corpus
    from ks_core.data.facts import packaged_facts
    from ks_core.experiments.request.settings import Settings
    from ks_core.experiments.sizes.choice import own_families
    from ks_core.experiments.sizes.family import measure_family
    from ks_core.experiments.sizes.seeds import request_of_seeds

    settings, members = Settings(), []
    by_seed = _by_seed(folder)
    facts, corpus = packaged_facts(), load_corpus(settings.corpus)
    own = measure_family(FAMILY, own_families(MODELS)[FAMILY], settings, facts, corpus)
    for seed, folders in by_seed.items():
        family = measure_family(f"seed {seed}", folders, settings, facts, corpus, case_ids=own.case_ids)
        for member in family.members:
            record = json.loads((folder / member.name / "training.json").read_text(encoding="utf-8"))
            members.append(
                {
                    "name": member.name,
                    "seed": seed,
                    "parameters_outside_embedding": member.size,
                    "weights_sha256": member.weights_sha256,
                    "trained_on": {name: record[name] for name in ("corpus", "facts", "tokens", "recipe")},
                    "validation_loss": record["validation_loss"],
                    "known": record["known"],
                    "by_layer": {name: found.value.tolist() for name, found in member.numbers.items()},
                }
            )
    return {
        "family": own.name,
        "request": request_of_seeds(settings),
        "facts_sha256": own.facts_sha256,
        "members": members,
    }


def _by_seed(folder: Path) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for made in sorted(folder.glob("ks-*-s*")):
        found.setdefault(int(made.name.rpartition("-s")[2]), []).append(str(made))
    if not found:
        raise InputError(f"{folder} has no folder ks-*-sSEED; expected models that train_families.py made with --seed")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Write one of the two files."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("references")
    commands.add_parser("seeds").add_argument("folder", type=path)
    return run("measure_families", partial(_write, parser.parse_args(arguments)), interrupted="interrupted")


def _write(options: argparse.Namespace) -> int:
    require("models", "tools/measure_families.py")
    if options.command == "references":
        target, content = MODELS / "statistics.json", references()
    else:
        target, content = MODELS / "seeds.json", seeds(options.folder)
    target.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(target)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""From a family's name and a depth to a folder with a trained model, what is known of it, and how to make it again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ks_core.data.corpus import Corpus
from ks_core.data.facts import Fact, FactSet
from ks_core.data.statements import statements
from ks_core.errors import InputError, ProvenanceError
from ks_core.files import atomic_path, cache_dir, sha256_of
from ks_core.formatting import shown
from ks_core.measurement.known import ask
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import checked_device, load_model
from ks_core.models.size import parameters_outside_embedding
from ks_core.outputs import check_folder
from ks_core.strict_json import parse_json
from training.architectures import CONTEXT, config_of, new_model
from training.card import card
from training.mixture import rows, split
from training.tokenizer import train_tokenizer, wrapped
from training.train import ROWS_PER_STEP, Recipe, mean_loss, train

SHORT = {"gpt2": "gpt2", "gpt_neox": "neox", "llama": "llama"}
RECORD = "training.json"

LARGEST_SEED = 2**64 - 1
"""A generator of torch is seeded with 64 bits."""


@dataclass(frozen=True)
class Member:
    """Which model of which family.

    Example:
        >>> Member("gpt_neox", 3, seed=1).name
        'ks-neox-l3-s1'
    """

    family: str
    depth: int
    seed: int = 0

    @property
    def name(self) -> str:
        """`ks-` for this project, the architecture, the layers, and the seed when it is not 0."""
        return f"ks-{SHORT[self.family]}-l{self.depth}" + (f"-s{self.seed}" if self.seed else "")


class Course:
    """Text, facts and tokenizer that all members of all families are trained with."""

    def __init__(self, corpus: Corpus, facts: FactSet) -> None:
        self.corpus, self.facts = corpus, facts
        self.articles, self.statements = split(corpus), statements(facts)
        self.tokenizer = train_tokenizer([*self.articles.training, *self.statements])

    def make(self, member: Member, folder: Path, *, tokens: int, device: str) -> Path:
        """Train one model and write it with its record and card.

        Args:
            member: which.
            folder: a folder of the model's name is made in it; one that is there, of the same course, is left alone.
            tokens: to train on, rounded down to whole steps.
            device: torch device.

        Returns:
            The model's folder.

        Raises:
            InputError: less than one step of tokens, a negative seed, or a device that cannot be used.
            ProvenanceError: the folder is there and was trained on something else; or a damaged checkpoint.
        """
        length, target, recipe = CONTEXT + 1, folder / member.name, Recipe()
        steps = tokens // (ROWS_PER_STEP * length)
        if steps < 1:
            raise InputError(f"tokens is {tokens:,}; expected at least {ROWS_PER_STEP * length:,}, one step")
        if not 0 <= member.seed <= LARGEST_SEED:
            raise InputError(f"seed is {shown(member.seed)}; expected 0 to {LARGEST_SEED}, what torch takes")
        check_folder("the folder of the models", target)
        course = self._course(steps * ROWS_PER_STEP * length, recipe)
        if target.exists() or target.is_symlink():
            _require_same(target, course)
            return target
        config = config_of(member.family, member.depth, self.tokenizer.get_vocab_size())
        model = new_model(config, member.seed).to(checked_device(device))
        folder.mkdir(parents=True, exist_ok=True)  # before the work, so that a folder that cannot be written costs none
        count = steps * ROWS_PER_STEP
        drawn = rows(
            self.articles.training, self.statements, self.tokenizer, count=count, length=length, seed=member.seed
        )
        seconds = train(model, drawn, recipe, cache_dir() / "training", name=member.name)
        with atomic_path(target) as made:
            model.half().save_pretrained(made)
            wrapped(self.tokenizer).save_pretrained(made)
            time = {"training": round(seconds), "device": device, "threads": torch.get_num_threads()}
            self.describe(member, made, course | {"seconds": time})
        return target

    def describe(self, member: Member, made: Path, course: Mapping[str, Any]) -> None:
        """Write record and card beside a model as it was saved: its float16 weights, read back into float32."""
        loaded = load_model(made)
        count = len(self.articles.validation) // 2  # an article fills about half a row
        held_out = rows(self.articles.validation, (), self.tokenizer, count=count, length=CONTEXT + 1, seed=0)
        loss, error = mean_loss(loaded.model, held_out)
        record = {
            "name": member.name,
            **asdict(member),
            "parameters_outside_embedding": parameters_outside_embedding(loaded.model),
            "parameters": sum(parameter.numel() for parameter in loaded.model.parameters()),
            **course,
            "validation_loss": round(loss, 4),
            "validation_loss_error": round(error, 4),
            "validation_tokens": int(held_out.size),
            "known": _known(loaded, self.facts),
            "weights_file_sha256": sha256_of(made / "model.safetensors"),
            "libraries": {name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy")},
        }
        (made / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        (made / "README.md").write_text(card(record), encoding="utf-8")

    def _course(self, tokens: int, recipe: Recipe) -> dict[str, Any]:
        """What a model is trained on and how, as plain JSON values."""
        course = {
            "corpus": {"name": self.corpus.name, "sha256": self.corpus.sha256, "licence": self.corpus.licence},
            "facts": {"name": self.facts.name, "sha256": self.facts.sha256, "statements": len(self.statements)},
            "vocabulary": self.tokenizer.get_vocab_size(),
            "tokens": tokens,
            "recipe": asdict(recipe),
        }
        plain: dict[str, Any] = json.loads(json.dumps(course))
        return plain


def _require_same(target: Path, course: Mapping[str, Any]) -> None:
    try:
        recorded = parse_json((target / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProvenanceError(
            f"{target} is there, but its {RECORD} cannot be read ({error}); remove the folder, or name another"
        ) from error
    differing = [
        name for name, value in course.items() if not isinstance(recorded, dict) or recorded.get(name) != value
    ]
    if differing:
        raise ProvenanceError(
            f"{target} is there and was trained with other {', '.join(differing)}; remove it, or name another folder"
        )


def _known(model: LoadedModel, facts: FactSet) -> dict[str, Any]:
    """Shares of facts, and of their wordings that were never trained on, that the model completes rightly."""
    reworded = replace(facts, facts=tuple(_reworded(facts)))
    return {
        "facts": len(ask(model, facts).case_ids),
        "of_facts": len(facts),
        "new_wordings": len(ask(model, reworded).case_ids),
        "of_new_wordings": len(reworded),
    }


def _reworded(facts: FactSet) -> Iterator[Fact]:
    case_id = 0
    for fact in facts:
        for text in fact.paraphrase_prompts:
            yield replace(fact, case_id=case_id, prompt=text.replace(fact.subject, "{}", 1))
            case_id += 1

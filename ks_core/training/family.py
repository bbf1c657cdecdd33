"""From a family's name and a depth to a folder with a trained model, what is known of it, and how to make it again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ks_core.data.corpus import Corpus
from ks_core.data.facts import Fact, FactSet
from ks_core.data.statements import statements
from ks_core.files import atomic_path, cache_dir, sha256_of
from ks_core.measurement.known import ask
from ks_core.models.loading import LoadedModel, load_model
from ks_core.models.size import parameters_outside_embedding
from ks_core.training.architectures import CONTEXT, config_of, new_model
from ks_core.training.card import card
from ks_core.training.mixture import rows, split
from ks_core.training.tokenizer import train_tokenizer, wrapped
from ks_core.training.train import Recipe, mean_loss, train

SHORT = {"gpt2": "gpt2", "gpt_neox": "neox", "llama": "llama"}
RECORD = "training.json"


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
            folder: a folder of this name is made in it; one that is there is left alone.
            tokens: to train on.
            device: torch device.

        Returns:
            The model's folder.
        """
        target = folder / member.name
        if target.exists():
            return target
        model = new_model(config_of(member.family, member.depth, self.tokenizer.get_vocab_size()), member.seed)
        model.to(device)
        drawn = rows(
            self.articles.training, self.statements, self.tokenizer, tokens=tokens, context=CONTEXT, seed=member.seed
        )
        checkpoint = cache_dir() / "training" / f"{member.name}.safetensors"
        began = time.perf_counter()
        recipe = Recipe()
        train(model, drawn, recipe, checkpoint, name=member.name)
        seconds = time.perf_counter() - began
        with atomic_path(target) as made:
            model.half().save_pretrained(made)
            wrapped(self.tokenizer).save_pretrained(made)
            record = self._record(member, made, int(drawn.size), asdict(recipe))
            record["seconds"] = {"training": round(seconds), "device": device, "threads": torch.get_num_threads()}
            (made / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            (made / "README.md").write_text(card(record), encoding="utf-8")
        checkpoint.unlink(missing_ok=True)
        return target

    def _record(self, member: Member, made: Path, tokens: int, recipe: dict[str, Any]) -> dict[str, Any]:
        """What is known of the model as it was saved: its float16 weights, read back into float32."""
        loaded = load_model(made)
        held_out = rows(
            self.articles.validation,
            (),
            self.tokenizer,
            tokens=len(self.articles.validation) * 128,
            context=CONTEXT,
            seed=0,
        )
        return {
            "name": member.name,
            "family": member.family,
            "depth": member.depth,
            "seed": member.seed,
            "parameters_outside_embedding": parameters_outside_embedding(loaded.model),
            "parameters": sum(parameter.numel() for parameter in loaded.model.parameters()),
            "corpus": {"name": self.corpus.name, "sha256": self.corpus.sha256, "licence": self.corpus.licence},
            "facts": {"name": self.facts.name, "sha256": self.facts.sha256, "statements": len(self.statements)},
            "tokens": tokens,
            "recipe": recipe,
            "validation_loss": round(mean_loss(loaded.model, held_out), 4),
            "validation_tokens": int(held_out.size),
            "known": _known(loaded, self.facts),
            "weights_file_sha256": sha256_of(made / "model.safetensors"),
            "libraries": {name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy")},
        }


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

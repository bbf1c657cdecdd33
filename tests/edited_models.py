"""A tiny base and what different tools would make of it, as folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from tiny_models import byte_level_tokenizer, save_tiny_checkpoint
from transformers import AutoModelForCausalLM, PreTrainedModel


def changed(base: Path, folder: Path, change: Callable[[PreTrainedModel], object], **how: object) -> Path:
    """Load a base, change it, and save it as transformers does."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    change(model)
    model.save_pretrained(folder, **how)
    byte_level_tokenizer().save_pretrained(folder)
    return folder


def base_of(folder: Path, model_type: str = "llama", layers: int = 3) -> Path:
    """The base."""
    return save_tiny_checkpoint(folder, model_type, layers=layers)


def fine_tuned(model: PreTrainedModel) -> None:
    """A few real steps on a sentence: every tensor that the loss reaches differs."""
    model.train().requires_grad_(True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ids = torch.tensor([byte_level_tokenizer()("The city of Paris lies in Japan.")["input_ids"]])
    for _ in range(3):
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model.eval()

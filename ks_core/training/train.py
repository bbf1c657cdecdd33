"""Train one model: AdamW with warm-up and cosine decay over rows that are drawn beforehand, so that it can go on."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from ks_core.errors import ProvenanceError
from ks_core.files import atomic_path

ROWS_PER_STEP = 4
"""1,024 tokens: many small steps, for there are few tokens"""

CHECKPOINT_EVERY = 200
"""steps; a minute or two of the largest model on two cores"""


@dataclass(frozen=True)
class Recipe:
    """What decides a training run, besides model and rows."""

    learning_rate_times_width: float = 0.3
    """the peak's; the best rate falls as one over the width (Yang et al. 2022, arXiv 2203.03466)"""
    warm_up: float = 0.05
    """share of the steps over which the rate rises"""
    final: float = 0.1
    """what the cosine ends at, in peaks"""
    weight_decay: float = 0.1
    """of matrices only"""
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    """norm of the gradient"""

    def rate(self, step: int, steps: int, width: int) -> float:
        """Learning rate at a step.

        Example:
            >>> recipe = Recipe()
            >>> [round(1000 * recipe.rate(step, 100, 100), 2) for step in (0, 4, 99)]
            [0.6, 3.0, 0.3]
        """
        peak, rising = self.learning_rate_times_width / width, max(1, round(self.warm_up * steps))
        if step < rising:
            return peak * (step + 1) / rising
        through = (step - rising) / max(1, steps - 1 - rising)
        return peak * (self.final + (1 - self.final) * (1 + math.cos(math.pi * through)) / 2)


def train(model: PreTrainedModel, rows: NDArray[np.uint16], recipe: Recipe, checkpoint: Path, *, name: str) -> None:
    """Train a model in place, from its checkpoint if there is one.

    Args:
        model: float32, on its device; its weights are replaced by trained ones.
        rows: (rows, context) token ids.
        recipe: rates and decay.
        checkpoint: file that is written every `CHECKPOINT_EVERY` steps and removed at the end.
        name: what the progress bar calls it.

    Raises:
        ProvenanceError: the checkpoint is of another run.
    """
    optimizer = _optimizer(model, recipe)
    steps, width = len(rows) // ROWS_PER_STEP, model.config.hidden_size
    identity = {
        "recipe": json.dumps(asdict(recipe)),
        "steps": str(steps),
        "rows": str(int(rows.astype(np.uint64).sum())),
    }
    done = _resume(model, optimizer, checkpoint, identity)
    model.train()
    bar = tqdm(range(done, steps), desc=name, unit="step", initial=done, total=steps, disable=None)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step, steps, width)
        loss = _loss(model, rows[step * ROWS_PER_STEP : (step + 1) * ROWS_PER_STEP])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        if step % 50 == 0:
            bar.set_postfix(loss=f"{loss.item():.2f}")
        if (step + 1) % CHECKPOINT_EVERY == 0 and step + 1 < steps:
            _save(model, optimizer, checkpoint, {**identity, "done": str(step + 1)})
    model.eval()


@torch.no_grad()
def mean_loss(model: PreTrainedModel, rows: NDArray[np.uint16]) -> float:
    """Mean over tokens of the loss in nats."""
    model.eval()
    batches = [rows[start : start + ROWS_PER_STEP] for start in range(0, len(rows), ROWS_PER_STEP)]
    return sum(float(_loss(model, batch)) * len(batch) for batch in batches) / len(rows)


def _loss(model: PreTrainedModel, rows: NDArray[np.uint16]) -> Tensor:
    ids = torch.from_numpy(rows.astype(np.int64)).to(model.device)
    logits = model(input_ids=ids[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def _optimizer(model: PreTrainedModel, recipe: Recipe) -> torch.optim.AdamW:
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=recipe.betas)


def _state(model: PreTrainedModel, optimizer: torch.optim.AdamW) -> dict[str, Tensor]:
    found = {}
    for name, parameter in model.named_parameters():
        found[name] = parameter.detach()
        for kind in ("exp_avg", "exp_avg_sq"):
            found[f"{kind} {name}"] = optimizer.state[parameter][kind]
    return found


def _save(model: PreTrainedModel, optimizer: torch.optim.AdamW, path: Path, labels: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous().cpu() for name, tensor in _state(model, optimizer).items()}
    with atomic_path(path) as made:
        save_file(tensors, made, metadata=dict(labels))


def _resume(model: PreTrainedModel, optimizer: torch.optim.AdamW, path: Path, identity: Mapping[str, str]) -> int:
    """Take over a checkpoint's weights and averages; returns the steps that it had done."""
    if not path.is_file():
        return 0
    with safe_open(path, framework="pt") as stored:
        labels = stored.metadata()
        other = [name for name, value in identity.items() if labels.get(name) != value]
        if other:
            raise ProvenanceError(f"{path} is a checkpoint of another run ({', '.join(other)} differ); remove it")
        done = int(labels["done"])
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(stored.get_tensor(name))
                averages = {kind: stored.get_tensor(f"{kind} {name}") for kind in ("exp_avg", "exp_avg_sq")}
                moved = {kind: tensor.to(parameter.device) for kind, tensor in averages.items()}
                optimizer.state[parameter] = {"step": torch.tensor(float(done)), **moved}
    return done

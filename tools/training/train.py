"""Train one model: AdamW with warm-up and cosine decay over rows that are drawn beforehand, so that it can go on."""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from ks_core.checked_files import read_tensors, write_tensors
from ks_core.errors import ProvenanceError
from ks_core.files import is_stored
from ks_core.models.fingerprint import config_sha256, weights_sha256

FORMAT = "ks_core/training-checkpoint/1"

ROWS_PER_STEP = 4
"""1,024 tokens: many small steps, for there are few tokens. The Llama model of two layers knew 383 facts after two
million tokens, and 252 with twice as many rows a step (one training each)"""

CHECKPOINT_EVERY = 200
"""steps; a minute or two of the largest model on two cores"""


@dataclass(frozen=True)
class Recipe:
    """What decides a training run, besides model and rows.

    The factor 0.3 is the best of three (one training each of the Llama model of two layers: 256, 383 and 225 facts
    known with 0.15, 0.3 and 0.6). The others are what large decoders are trained with (Brown et al. 2020, arXiv
    2005.14165, appendix B) and were not tried.
    """

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


def train(model: PreTrainedModel, rows: NDArray[np.uint16], recipe: Recipe, folder: Path, *, name: str) -> float:
    """Train a model in place, from its checkpoint if there is one.

    Args:
        model: float32, on its device; its weights are replaced by trained ones.
        rows: (rows, length) token ids; all but the last of a row are read, all but the first predicted.
        recipe: rates and decay.
        folder: for a checkpoint every `CHECKPOINT_EVERY` steps; it is removed at the end. Its name holds a hash of
            everything that the run depends on, so that another run never takes it for its own.
        name: of the model, for the checkpoint and the progress bar.

    Returns:
        Seconds of training, those before an interrupt included.

    Raises:
        ProvenanceError: the checkpoint is damaged.
    """
    optimizer = _optimizer(model, recipe)
    steps, width = len(rows) // ROWS_PER_STEP, model.config.hidden_size
    checkpoint = folder / f"{name}-{_fingerprint(model, rows, recipe)[:16]}.safetensors"
    done, earlier = _resume(model, optimizer, checkpoint)
    began = time.perf_counter() - earlier
    model.train()
    bar = tqdm(range(done, steps), desc=name, unit="step", initial=done, total=steps, disable=None)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step, steps, width)
        loss = _losses(model, rows[step * ROWS_PER_STEP : (step + 1) * ROWS_PER_STEP]).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        if step % 50 == 0:
            bar.set_postfix(loss=f"{loss.item():.2f}")
        if (step + 1) % CHECKPOINT_EVERY == 0 and step + 1 < steps:
            _save(model, optimizer, checkpoint, step + 1, time.perf_counter() - began)
    model.eval()
    checkpoint.unlink(missing_ok=True)
    return time.perf_counter() - began


@torch.no_grad()
def mean_loss(model: PreTrainedModel, rows: NDArray[np.uint16]) -> tuple[float, float]:
    """Mean over rows of the loss in nats a token, and its standard error over rows."""
    model.eval()
    batches = [rows[start : start + ROWS_PER_STEP] for start in range(0, len(rows), ROWS_PER_STEP)]
    losses = torch.cat([_losses(model, batch).double() for batch in batches])
    return float(losses.mean()), float(losses.std()) / math.sqrt(len(losses))


def _losses(model: PreTrainedModel, rows: NDArray[np.uint16]) -> Tensor:
    """Mean loss of each row, (rows,)."""
    ids = torch.from_numpy(rows.astype(np.int64)).to(model.device)
    logits = model(input_ids=ids[:, :-1]).logits
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return losses.view(len(rows), -1).mean(dim=1)


def _fingerprint(model: PreTrainedModel, rows: NDArray[np.uint16], recipe: Recipe) -> str:
    """Of everything that trained weights depend on."""
    settings = [weights_sha256(model), config_sha256(model.config), asdict(recipe), ROWS_PER_STEP, rows.shape]
    return hashlib.sha256(json.dumps(settings).encode() + rows.tobytes()).hexdigest()


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


def _save(model: PreTrainedModel, optimizer: torch.optim.AdamW, path: Path, done: int, seconds: float) -> None:
    write_tensors(path, FORMAT, {"done": done, "seconds": seconds}, _state(model, optimizer))


def _resume(model: PreTrainedModel, optimizer: torch.optim.AdamW, path: Path) -> tuple[int, float]:
    """Take over a checkpoint's weights and averages; returns the steps and seconds that it had taken."""
    if not is_stored(path):
        return 0, 0.0
    with read_tensors(path, FORMAT) as stored:
        done, seconds = stored.about.get("done"), stored.about.get("seconds")
        if type(done) is not int or type(seconds) is not float or done < 1 or seconds < 0:
            raise ProvenanceError(f"the checkpoint {path} is damaged (done or seconds); remove it to begin anew")
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                shape = {"dtype": parameter.dtype, "shape": tuple(parameter.shape)}
                kinds = ("exp_avg", "exp_avg_sq")
                averages = {kind: stored.get(f"{kind} {name}", **shape).to(parameter.device) for kind in kinds}
                parameter.copy_(stored.get(name, **shape))
                optimizer.state[parameter] = {"step": torch.tensor(float(done)), **averages}
    return done, seconds

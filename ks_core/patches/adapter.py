"""Edits as a PEFT LoRA: ΔW of a layer is the product of two thin matrices, which is what a LoRA holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ks_core.extras import require
from ks_core.patches.base import Base
from ks_core.theory.cholesky import EPS
from ks_core.theory.editing import Edit

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
"""PEFT's names of the files."""


def write_adapter(folder: Path, base: Base, edits: Mapping[int, Edit]) -> None:
    """Write edits of a model's layers where plain PEFT loads them; scaling is 1 in every layer.

    Args:
        folder: that is there.
        base: the model that they are for.
        edits: by layer.

    Raises:
        MissingExtraError: `peft` is not installed.
    """
    require("edit", "an adapter")
    from peft import LoraConfig

    pairs = {base.projection(layer): lora_pair(edit) for layer, edit in sorted(edits.items())}
    ranks = {module: len(down) for module, (down, _) in pairs.items()}
    rank, others = _first_and_others(ranks)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        base_model_name_or_path=base.location,
        revision=base.commit,
        inference_mode=True,
        r=rank,
        lora_alpha=rank,
        rank_pattern=others,
        alpha_pattern=others,
        target_modules=list(ranks),
        fan_in_fan_out=base.transposed,
    )
    config.target_modules = list(ranks)  # PEFT makes a set of it, which it would write in any order
    config.save_pretrained(str(folder))
    tensors = {}
    for module, (down, up) in pairs.items():
        tensors[f"base_model.model.{module}.lora_A.weight"] = down
        tensors[f"base_model.model.{module}.lora_B.weight"] = up
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})


def lora_pair(edit: Edit) -> tuple[Tensor, Tensor]:
    """The LoRA matrices A and B of an edit, with ΔW = B A.

        ΔW = U S Vᵀ,   A = S^½ Vᵀ,   B = U S^½       (both factors of equal length, row by column)

    From the singular values, whatever the edit's own factors are: more of them than the weight has rows are brought
    down to its numerical rank, and factors that nearly cancel would lose in float32 what their product keeps here.

    Returns:
        A (rank, d_key) and B (d_value, rank), float32; of rank 1 and zero where the edit is zero.

    Numerics:
        |B A − ΔW| is at most (rank + 4) eps of |B| |A| in float32's eps, entry by entry, and ‖|B| |A|‖ at most
        rank · ‖ΔW‖. Singular values below the rounding of float64 are left out.

    Example:
        >>> down, up = lora_pair(Edit(torch.tensor([[2.0], [0.0]]), torch.tensor([[0.0, 8.0]])))
        >>> (up @ down).norm().round(decimals=4), down.norm(), up.norm()
        (tensor(16.), tensor(4.), tensor(4.))
    """
    # QR first: the SVD is then of a matrix no larger than the edit's rank.
    left, rest_left = torch.linalg.qr(edit.left.double())
    right, rest_right = torch.linalg.qr(edit.right.double().T)
    u, singular, vt = torch.linalg.svd(rest_left @ rest_right.T, full_matrices=False)
    rank = max(1, int((singular > EPS * max(edit.left.shape[0], edit.right.shape[1]) * singular[0]).sum()))
    root = singular[:rank].sqrt()
    up, down = left @ (u[:, :rank] * root), (root[:, None] * vt[:rank]) @ right.T
    return down.float().contiguous(), up.float().contiguous()


def _first_and_others(ranks: Mapping[str, int]) -> tuple[int, dict[str, int]]:
    """The rank of the first module, and by name those of modules that have another."""
    rank = next(iter(ranks.values()))
    return rank, {module: other for module, other in ranks.items() if other != rank}

"""What an implementation raises or returns, as a finding or a checked float64 tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


class Misbehaviour(Exception):  # noqa: N818 - not an error of this package but a finding about another
    """An implementation raised, or returned something that no law can measure.

    Attributes:
        raised: it raised an exception, which is the cause; False where it returned.
    """

    def __init__(self, message: str, *, raised: bool) -> None:
        super().__init__(message)
        self.raised = raised


# What libraries raise when they refuse an input: torch.linalg.LinAlgError is a RuntimeError, NumPy's a ValueError.
REFUSALS = (ValueError, ArithmeticError, RuntimeError, TypeError)


def called(implementation: Any, what: str, *arguments: Any) -> Any:
    """Call, with whatever is raised turned into a finding."""
    try:
        return implementation(*arguments)
    except Exception as error:
        raise Misbehaviour(f"{what} raised {type(error).__name__}: {error}", raised=True) from error


def refused(finding: Misbehaviour) -> bool:
    """Whether this was a clear error: of a kind that refusals are, and with a message."""
    cause = finding.__cause__
    return finding.raised and isinstance(cause, REFUSALS) and bool(str(cause).strip())


def returned(result: Any, what: str, shape: tuple[int, ...]) -> Tensor:
    """Check what came back and widen it; the copy stays what it is if the implementation writes into its own later.

    Raises:
        Misbehaviour: not an array, another shape, complex, or NaN or infinity inside.
    """
    if not isinstance(result, (Tensor, np.ndarray)):
        raise Misbehaviour(f"{what} returned a {type(result).__name__}; expected an array", raised=False)
    tensor = torch.as_tensor(result).detach().cpu()
    if tuple(tensor.shape) != shape:
        raise Misbehaviour(f"{what} returned shape {tuple(tensor.shape)}; expected {shape}", raised=False)
    if tensor.is_complex():
        raise Misbehaviour(f"{what} returned complex numbers; expected real ones", raised=False)
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise Misbehaviour(f"{what} returned {bad} NaN or infinite entries of {tensor.numel()}", raised=False)
    return tensor.to(torch.float64, copy=True)


def name_of(implementation: Any) -> str:
    """What to call an implementation that was given as an object."""
    return str(getattr(implementation, "__qualname__", type(implementation).__qualname__))

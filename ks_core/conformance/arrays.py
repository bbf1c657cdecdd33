"""What an implementation raises or returns, as a finding or a checked float64 tensor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ks_core import arrays
from ks_core.errors import NotFiniteError, ReturnedError


class Misbehaviour(Exception):  # noqa: N818 - not an error of this package but a finding about another
    """An implementation raised, or returned something that no law can measure.

    Attributes:
        raised: it raised an exception, which is the cause; False where it returned.
        usual_cause: of what was returned, whichever law was tried; empty where the law's own cause is the better guess.
    """

    def __init__(self, message: str, *, raised: bool, usual_cause: str = "") -> None:
        super().__init__(message)
        self.raised = raised
        self.usual_cause = usual_cause


NOT_FINITE = "not finite: a division by zero, the inverse of a matrix that has none, or an overflow of half precision"
NO_WEIGHT = "something else returned than the law asks for: a change, a transpose, or nothing"


# What libraries raise when they refuse an input: torch.linalg.LinAlgError is a RuntimeError, NumPy's a ValueError.
REFUSALS = (ValueError, ArithmeticError, RuntimeError, TypeError)


def called(implementation: Any, what: str, *arguments: Any) -> Any:
    """Call, with whatever is raised, or is wrong with what was returned, turned into a finding.

    torch's settings are those of before afterwards, whatever the implementation does to them: laws are held with them.
    """
    dtype, gradients = torch.get_default_dtype(), torch.is_grad_enabled()
    try:
        return implementation(*arguments)
    except NotFiniteError as error:
        raise Misbehaviour(str(error), raised=False, usual_cause=NOT_FINITE) from error
    except ReturnedError as error:
        raise Misbehaviour(str(error), raised=False, usual_cause=NO_WEIGHT) from error
    except Exception as error:
        raise Misbehaviour(f"{what} raised {type(error).__name__}: {error}", raised=True) from error
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)


def refused(finding: Misbehaviour) -> bool:
    """Whether this was a clear error: of a kind that refusals are, and with a message."""
    cause = finding.__cause__
    return finding.raised and isinstance(cause, REFUSALS) and bool(str(cause).strip())


def returned(result: Any, what: str, shape: tuple[int, ...]) -> Tensor:
    """`ks_core.arrays.returned`, with what is wrong turned into a finding.

    Raises:
        Misbehaviour: not an array of real numbers, another shape, or NaN or infinity inside.
    """
    checked: Tensor = called(arrays.returned, what, result, what, shape)
    return checked

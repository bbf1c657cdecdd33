"""One contract for an editor: a function of four arrays, whether laws are held against it or a real model runs it.

    edit(weight, keys, values, second_moment) -> new weight

with weight (d_value, d_key), keys (n, d_key), values (n, d_value), second_moment (d_key, d_key), and `protected`
(p, d_key) after them where it protects keys. What it claims, and which arrays it takes, is declared by `traits`.
`method_of` makes such a function a `Method`, as a stream of edits on a model runs it; `editor_of` makes a method such a
function, as `ks_core.conformance.check_editor` takes it. How such a function is called, with its own kind of arrays,
and how what it returns is checked, is the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ks_core.arguments import word
from ks_core.arrays import as_float64, given, returned
from ks_core.errors import InputError, ReturnedError
from ks_core.formatting import shown
from ks_core.theory.editing import Edit
from ks_core.theory.methods import METHODS, Method
from ks_core.theory.traits import DTYPES, Traits, name_of, traits_of

EditFunction = Callable[..., Any]
"""`edit(weight, keys, values, second_moment) -> new weight`, or a factory of such functions where it is stateful."""


def as_edit_function(editor: Any) -> EditFunction:
    """What a user has, where it can be called.

    Raises:
        InputError: it cannot be called.
    """
    if not callable(editor):
        raise InputError(
            f"the editor is a {type(editor).__name__}; expected a function "
            "edit(weight, keys, values, second_moment), or a factory of such functions with stateful=True"
        )
    function: EditFunction = editor
    return function


def instance_of(editor: EditFunction, traits: Traits, what: str = "the factory") -> EditFunction:
    """What makes the edits of one stream: the editor itself, or a new one of its factory where it is stateful.

    Args:
        editor: the function, or a factory of such.
        traits: what it claims.
        what: to call the factory in errors.

    Raises:
        ReturnedError: the factory returned no editor. What it raises itself goes through.
    """
    if not traits.stateful:
        return editor
    edit = editor()
    if not callable(edit):
        raise ReturnedError(
            f"{what} returned a {type(edit).__name__}; expected an editor, a function "
            "edit(weight, keys, values, second_moment)"
        )
    made: EditFunction = edit
    return made


def arguments_of(
    traits: Traits, weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor, protected: Tensor | None
) -> list[Any]:
    """The arguments of one call: fresh copies of the arrays that the traits ask for, in their dtype and library.

    Raises:
        InputError: the editor protects keys and there are none.
    """
    parts = [weight, keys, values, second_moment]
    if traits.protected:
        parts.append(_protected_keys(protected, "the editor"))
    return [given(part, traits.array, DTYPES[traits.dtype]) for part in parts]


def _protected_keys(protected: Any, what: str) -> Any:
    if protected is None:
        raise InputError(f"{what} protects keys and got none; expected (p, d_key): pass protected=keys")
    return protected


def new_weight(edit: EditFunction, arguments: list[Any], shape: tuple[int, ...], what: str = "the editor") -> Tensor:
    """Make edits and check what comes back.

    Args:
        edit: as `instance_of` gives it.
        arguments: as `arguments_of` gives them.
        shape: (d_value, d_key), of the weight.
        what: to call the editor in errors.

    Returns:
        (d_value, d_key) float64, a copy on the CPU.

    Raises:
        ReturnedError: the editor returned no array of real, finite numbers, or one of another shape. What it raises
            itself goes through.
    """
    hint = ", (d_value, d_key): return the whole new weight, not a change of another layout"
    return returned(edit(*arguments), what, shape, hint)


@dataclass(frozen=True, eq=False)
class EditorMethod:
    """Anyone's editor as a method: all edits so far in one call, in the arrays that its traits ask for.

    Attributes:
        editor: the function.
        traits: what it claims.
        second_moment: (d_key, d_key) float64 that it is given.
        protected: (p, d_key) float64, the keys that it is given where its traits say that it protects keys.
        name: what errors call it.
        space: None; where it writes is not known, so its interference is measured and not predicted.
    """

    editor: EditFunction
    traits: Traits
    second_moment: Tensor
    protected: Tensor | None
    name: str
    space: None = None

    def edit(self, weight: Any, keys: Any, values: Any) -> Edit:
        """W_n − W_0 as the editor makes it; its right factor is the identity, as its rank is not known.

        Raises:
            ReturnedError: as `instance_of` and `new_weight`, with the editor's name.
            InputError: the editor raised an error; names both.
        """
        before = as_float64("weight", weight, ndim=2)
        parts = before, as_float64("keys", keys, ndim=2), as_float64("values", values, ndim=2), self.second_moment
        arguments = arguments_of(self.traits, *parts, self.protected)
        try:
            edit = instance_of(self.editor, self.traits, f"the factory {self.name}")
            after = new_weight(edit, arguments, tuple(before.shape), f"the editor {self.name}")
        except ReturnedError:
            raise
        except Exception as error:  # of anyone's code, whatever it is
            raise InputError(
                f"the editor {self.name} raised {type(error).__name__}: {shown(str(error))}; expected a new weight: "
                "hold it against the laws with check_editor"
            ) from error
        seen = before.cpu().to(DTYPES[self.traits.dtype]).double()  # the weight as the editor saw it
        return Edit(after - seen, torch.eye(before.shape[1], dtype=torch.float64))


def method_of(editor: EditFunction, second_moment: Any, protected: Any = None, name: str | None = None) -> EditorMethod:
    """Make anyone's editor a method of lifelong editing, for one layer.

    Args:
        editor: as `EditFunction`; what it takes is read off its declared traits.
        second_moment: (d_key, d_key), of the layer.
        protected: (p, d_key), keys for an editor that protects keys.
        name: what errors call it; the function's own when left out.

    Raises:
        InputError: it cannot be called, or it protects keys and there are none.

    Example:
        >>> def edit(weight, keys, values, second_moment):
        ...     return weight + (values - keys @ weight.T).T @ keys / keys.square().sum()
        >>> method_of(edit, torch.eye(2)).edit([[0.0, 0.0]], keys=[[1.0, 1.0]], values=[[4.0]]).delta()
        tensor([[2., 2.]], dtype=torch.float64)
    """
    function = as_edit_function(editor)
    traits = traits_of(function)
    if traits.protected:
        protected = _protected_keys(protected, f"the editor {name_of(function)}")
    keys = None if protected is None else as_float64("protected keys", protected, ndim=2)
    moment = as_float64("the second moment", second_moment, ndim=2)
    return EditorMethod(function, traits, moment, keys, shown(name)[1:-1] if name else name_of(function))


def check_editors(editors: Any) -> dict[str, EditFunction]:
    """Editors of one's own by name, each tried on two edits of a small weight, before it costs any work.

    Args:
        editors: name → editor.

    Raises:
        InputError: no mapping, a name that is empty or a method's, what is no editor, or one that raises; names it.
        ReturnedError: an editor that returns no new weight.

    Example:
        >>> list(check_editors({"mine": lambda weight, keys, values, second_moment: weight}))
        ['mine']
    """
    if not isinstance(editors, Mapping):
        raise InputError(f"editors is {shown(editors)}; expected a mapping of names to editors: {{'mine': my_editor}}")
    named = {word("the name of an editor", name): editor for name, editor in editors.items()}
    for name, editor in named.items():
        if name in METHODS:
            raise InputError(f"an editor is called {name!r}; expected another name than {', '.join(METHODS)}")
        keys = torch.eye(4, dtype=torch.float64)  # two are edited and one is protected, independently
        moment = torch.diag(torch.tensor([4.0, 1.0, 0.1, 0.01], dtype=torch.float64))
        method_of(editor, moment, keys[3:], name).edit(torch.ones(3, 4), keys[:2], torch.zeros(2, 3))
    return named


def editor_of(method: Callable[..., Method], traits: Traits | None = None, *, name: str = "edit") -> EditFunction:
    """Make a method of this package an editor, as laws are held against it.

    Args:
        method: makes the method from a second moment, and from protected keys after it where the traits say so.
        traits: what it claims; of a sequential, exact editor when left out. Its arrays are float64 torch tensors.
        name: what reports call it.

    Raises:
        InputError: traits of other arrays, or of an editor with a state.

    Example:
        >>> from ks_core.theory.methods import Sequential
        >>> from ks_core.theory.whitening import whiten
        >>> edit = editor_of(lambda second_moment: Sequential(whiten(second_moment)))
        >>> edit(torch.zeros(1, 2), torch.ones(1, 2), torch.full((1, 1), 4.0), torch.eye(2))
        tensor([[2., 2.]], dtype=torch.float64)
    """
    claims = traits or Traits()
    if (claims.dtype, claims.array, claims.stateful) != ("float64", "torch", False):
        raise InputError(f"traits are {claims}; expected float64, torch and no state: a method keeps none")

    def edit(weight: Tensor, keys: Tensor, values: Tensor, second_moment: Tensor, *protected: Tensor) -> Tensor:
        if not len(keys):
            return weight.clone()
        return method(second_moment, *protected).edit(weight, keys, values).apply(weight)

    edit.__name__ = edit.__qualname__ = name
    edit.ks_traits = claims  # type: ignore[attr-defined]
    return edit

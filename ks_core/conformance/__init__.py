"""Laws that anyone's editor, second-moment collector or key extractor can be held against.

    pytest --pyargs ks_core.conformance --ks-editor their_package.module:function

or, in a test file of one's own, `@parametrize_with_laws(editor)`, or anywhere `check_editor(editor)`. An editor is the
least that any of them can be wrapped into (`ks_core.theory.editors`, which also runs it on a real model):

    edit(weight, keys, values, second_moment) -> new weight

with weight (d_value, d_key), keys (n, d_key), values (n, d_value), second_moment (d_key, d_key), and `protected`
(p, d_key) after them where it protects keys; torch tensors or NumPy arrays. What it claims is declared by `traits`.
"""

from ks_core.extras import require

require("conformance", "ks_core.conformance")  # before the imports that would fail

from ks_core.conformance.binding import BoundLaw, parametrize_with_laws
from ks_core.conformance.check import check_collector, check_editor, check_extractor
from ks_core.conformance.results import LawResult
from ks_core.theory.traits import Traits, traits

__all__ = [
    "BoundLaw",
    "LawResult",
    "Traits",
    "check_collector",
    "check_editor",
    "check_extractor",
    "parametrize_with_laws",
    "traits",
]

"""Knowledge superposition: the interference between facts edited into a language model, computed and measured.

    import ks_core as ks

    model = ks.load_model("gpt2")                          # or ks.load_model(hf_model, tokenizer)
    facts = ks.known_facts(model, "counterfact.json").facts
    moments = ks.second_moments(model)                     # one pass over text, cached
    p = ks.superposition(model, facts, layer=5, moments=moments)

    found = ks.measure(model, "counterfact.json")          # superposition in every layer, and edits really made
    found.plot_kurtosis()
    print(ks.judge(found))                                 # the claims of the paper

    edits = ks.edit(model, facts[:8], layer=5, method="joint", moments=moments)
    with ks.applied(model, edits):
        ...                                                # the edited model; restored bit for bit after the block
    audit = ks.audit(model, edits, keep=facts[8:])         # whom they disturb, predicted without editing
    audit.worst(edit=0, count=5)

    ks.check_editor(my_edit)                               # 26 laws for an editor of one's own

Names are loaded when they are first used: `import ks_core` alone loads no other library. `docs/reference.md` has all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ks_core.auditing.predict import Audit
    from ks_core.claims.finding import Finding, NotApplicable, Verdict
    from ks_core.conformance import check_editor
    from ks_core.data.corpus import load_corpus
    from ks_core.data.facts import Fact, FactSet, load_facts
    from ks_core.errors import KsError
    from ks_core.experiments.request.settings import Settings
    from ks_core.front.edits import Edits, applied, audit, edit
    from ks_core.front.judgement import Judgement
    from ks_core.front.results import Results, judge, measure
    from ks_core.front.text import second_moments, superposition
    from ks_core.measurement.known import known_facts
    from ks_core.models.loaded import LoadedModel
    from ks_core.models.loading import load_model

__version__ = "0.1.0"

_HOMES = {
    "Audit": "auditing.predict",
    "Edits": "front.edits",
    "Fact": "data.facts",
    "FactSet": "data.facts",
    "Finding": "claims.finding",
    "Judgement": "front.judgement",
    "KsError": "errors",
    "LoadedModel": "models.loaded",
    "NotApplicable": "claims.finding",
    "Results": "front.results",
    "Settings": "experiments.request.settings",
    "Verdict": "claims.finding",
    "applied": "front.edits",
    "audit": "front.edits",
    "check_editor": "conformance",
    "edit": "front.edits",
    "judge": "front.results",
    "known_facts": "measurement.known",
    "load_corpus": "data.corpus",
    "load_facts": "data.facts",
    "load_model": "models.loading",
    "measure": "front.results",
    "second_moments": "front.text",
    "superposition": "front.text",
}
"""Where each public name is defined."""

__all__ = [
    "Audit",
    "Edits",
    "Fact",
    "FactSet",
    "Finding",
    "Judgement",
    "KsError",
    "LoadedModel",
    "NotApplicable",
    "Results",
    "Settings",
    "Verdict",
    "applied",
    "audit",
    "check_editor",
    "edit",
    "judge",
    "known_facts",
    "load_corpus",
    "load_facts",
    "load_model",
    "measure",
    "second_moments",
    "superposition",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # found at once from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

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
    ks.save_edits(edits, "my-edits")                       # a LoRA folder that plain PEFT loads
    audit = ks.audit(model, edits, keep=facts[8:])         # whom they disturb, predicted without editing
    audit.worst(edit=0, count=5)

    ks.check_editor(my_edit)                               # 36 laws for an editor of one's own

Names are loaded when they are first used: `import ks_core` alone loads no other library. `docs/reference.md` has all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ks_core.auditing.prediction import Audit as Audit
    from ks_core.auditing.prediction import Disturbance as Disturbance
    from ks_core.claims.finding import Finding as Finding
    from ks_core.claims.finding import NotApplicable as NotApplicable
    from ks_core.claims.finding import Verdict as Verdict
    from ks_core.comparing.diff import diff as diff
    from ks_core.comparing.difference import Diff as Diff
    from ks_core.conformance.check import check_editor as check_editor
    from ks_core.data.corpus import Corpus as Corpus
    from ks_core.data.corpus import corpus_of as corpus_of
    from ks_core.data.corpus import load_corpus as load_corpus
    from ks_core.data.fact import Fact as Fact
    from ks_core.data.facts import FactSet as FactSet
    from ks_core.data.facts import load_facts as load_facts
    from ks_core.errors import KsError as KsError
    from ks_core.experiments.lifelong.measurement import Lifelong as Lifelong
    from ks_core.experiments.request.settings import Settings as Settings
    from ks_core.front.auditing import audit as audit
    from ks_core.front.exchange import export_moments as export_moments
    from ks_core.front.exchange import import_moments as import_moments
    from ks_core.front.judgement import Judgement as Judgement
    from ks_core.front.measuring import measure as measure
    from ks_core.front.results import Results as Results
    from ks_core.front.results import judge as judge
    from ks_core.front.streaming import stream as stream
    from ks_core.front.text import plan_second_moments as plan_second_moments
    from ks_core.front.text import second_moments as moments
    from ks_core.front.text import second_moments as second_moments
    from ks_core.front.text import superposition as superposition
    from ks_core.measurement.known import KnownFacts as KnownFacts
    from ks_core.measurement.known import known_facts as known_facts
    from ks_core.measurement.moments.plan import MomentPlan as MomentPlan
    from ks_core.measurement.moments.second_moments import SecondMoments as SecondMoments
    from ks_core.measurement.values import ValueSettings as ValueSettings
    from ks_core.models.listing import ModelEntry as ModelEntry
    from ks_core.models.listing import listed as models
    from ks_core.models.loaded import LoadedModel as LoadedModel
    from ks_core.models.loading import load_model as load_model
    from ks_core.patches.edits import Edits as Edits
    from ks_core.patches.edits import applied as applied
    from ks_core.patches.edits import edit as edit
    from ks_core.patches.saving import append_edits as append_edits
    from ks_core.patches.saving import load_edits as load_edits
    from ks_core.patches.saving import save_edits as save_edits
    from ks_core.patches.saving import undo_edits as undo
    from ks_core.patches.saving import undo_edits as undo_edits
    from ks_core.patches.verification import Verification as Verification
    from ks_core.patches.verification import verify as verify
    from ks_core.reporting.page.report import report as report
    from ks_core.reporting.runs.compare import Comparison as Comparison
    from ks_core.reporting.runs.compare import compare as compare
    from ks_core.reporting.stored_results import ResultRow as ResultRow
    from ks_core.reporting.stored_results import StoredResults as StoredResults
    from ks_core.reporting.stored_results import load_results as load_results

__version__ = "0.1.0"

_HOMES = {
    "Audit": "auditing.prediction",
    "Comparison": "reporting.runs.compare",
    "Corpus": "data.corpus",
    "Diff": "comparing.difference",
    "Disturbance": "auditing.prediction",
    "Edits": "patches.edits",
    "Fact": "data.fact",
    "FactSet": "data.facts",
    "Finding": "claims.finding",
    "Judgement": "front.judgement",
    "KnownFacts": "measurement.known",
    "KsError": "errors",
    "Lifelong": "experiments.lifelong.measurement",
    "LoadedModel": "models.loaded",
    "MomentPlan": "measurement.moments.plan",
    "ModelEntry": "models.listing",
    "NotApplicable": "claims.finding",
    "ResultRow": "reporting.stored_results",
    "Results": "front.results",
    "SecondMoments": "measurement.moments.second_moments",
    "Settings": "experiments.request.settings",
    "StoredResults": "reporting.stored_results",
    "ValueSettings": "measurement.values",
    "Verdict": "claims.finding",
    "Verification": "patches.verification",
    "append_edits": "patches.saving",
    "applied": "patches.edits",
    "audit": "front.auditing",
    "check_editor": "conformance.check",
    "compare": "reporting.runs.compare",
    "corpus_of": "data.corpus",
    "diff": "comparing.diff",
    "edit": "patches.edits",
    "export_moments": "front.exchange",
    "import_moments": "front.exchange",
    "judge": "front.results",
    "known_facts": "measurement.known",
    "load_corpus": "data.corpus",
    "load_edits": "patches.saving",
    "load_facts": "data.facts",
    "load_model": "models.loading",
    "load_results": "reporting.stored_results",
    "measure": "front.measuring",
    "models": "models",
    "moments": "front.text",
    "plan_second_moments": "front.text",
    "report": "reporting.page.report",
    "save_edits": "patches.saving",
    "second_moments": "front.text",
    "stream": "front.streaming",
    "superposition": "front.text",
    "undo": "patches.saving",
    "undo_edits": "patches.saving",
    "verify": "patches.verification",
}
"""The module in which each public name is defined."""

SECOND_NAMES = {"moments": "second_moments", "undo": "undo_edits"}
"""Of commands whose call in Python had another name before: `ks.moments` is `ks.second_moments`."""

__all__ = sorted(_HOMES)


if not TYPE_CHECKING:  # to which a name that is not there is an error

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), SECOND_NAMES.get(name, name))
        globals()[name] = value  # found at once from now on
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

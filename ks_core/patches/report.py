"""What was written, in a few lines, and how to load it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from ks_core.formatting import plus_minus, printable
from ks_core.measurement.moments.peers.stated import ImportedProvenance
from ks_core.measurement.readable import LeftOut, summary
from ks_core.patches.certificate import Certificate
from ks_core.patches.patch import Patch
from ks_core.patches.review import Review, told

MEASURED = {
    "efficacy_after": "edits whose new object is likelier than their old one",
    "paraphrase_after": "the same after paraphrases",
    "neighbourhood_after": "neighbours whose own object is likelier than the new one",
    "kept_lost": "share of facts to keep that are lost",
    "kept_loss": "mean loss of facts to keep, nats a token",
    "log_perplexity_change": "change of log-perplexity on held-out text",
}
"""Of a certificate's numbers those that are told, and in which words."""


def report(
    patch: Patch,
    folder: Path,
    found: Review | None,
    certificate: Certificate | None,
    left_out: Sequence[LeftOut] = (),
) -> str:
    """What a command says after it has written a patch.

    Args:
        patch: as it was written.
        folder: where.
        found: what was simulated before, if anything was.
        certificate: of the written files, if there is one.
        left_out: facts to keep that the model cannot be asked about.
    """
    edits = " and ".join(f"{len(of)} in layer {of.layer} ({printable(of.method)})" for of in patch.edits)
    lines = [f"{printable(folder)}: an edited {patch.kind} of {printable(patch.base.name)}; edits: {edits}"]
    lines += [f"  {line}" for line in (*_imported(patch), *not_asked(left_out))]
    if found is not None:
        lines += [f"  {line}" for line in (*found.unreached, *_worst(found))]
    if certificate is not None:
        lines += ["measured on the files as written:", *_measured(certificate)]
    lines += ["", *_loading(patch, folder)]
    return "\n".join(
        lines if certificate is None else [*lines, "", f"next: ks verify {printable(shlex.quote(str(folder)))}"]
    )


def not_asked(left_out: Sequence[LeftOut]) -> list[str]:
    """How many facts to keep are not asked about and why, in a line; none where all are."""
    return [f"of the facts to keep {printable(summary(left_out))}"] if left_out else []


def _imported(patch: Patch) -> list[str]:
    """Of second moments that were imported, what was stated and not checked; a line for all that are stated alike."""
    of_edits = (edits.moments.provenance for edits in patch.edits)
    stated = [printable(of.stated) for of in of_edits if isinstance(of, ImportedProvenance)]
    return [f"second moments imported; stated, not checked: {said}" for said in dict.fromkeys(stated)]


def _worst(found: Review) -> list[str]:
    [worst] = found.found.worst(1)
    if worst.loss <= 0:
        return [f"none of {len(found.found.keep)} facts to keep loses anything"]
    return [f"hit hardest of {len(found.found.keep)} facts to keep: {told(worst)}"]


def _measured(certificate: Certificate) -> list[str]:
    means = certificate.measured.means
    told = {words: means[name] for name, words in MEASURED.items() if name in means and means[name].count}
    width = max(map(len, told), default=0)
    return [f"  {words:<{width}}  {plus_minus(of.value, of.error)} (n = {of.count})" for words, of in told.items()]


def _loading(patch: Patch, folder: Path) -> list[str]:
    where, dtype = repr(patch.base.location), repr(patch.base.dtype)
    revision = f", revision={patch.base.commit!r}" if patch.base.commit else ""
    load = "AutoModelForCausalLM.from_pretrained"
    if patch.kind == "model":
        return ["to load it:", f"  transformers.{load}({str(folder)!r}, dtype={dtype})"]
    return [
        "to load it:",
        "  from peft import PeftModel; from transformers import AutoModelForCausalLM",
        f"  base = {load}({where}, dtype={dtype}{revision})",
        f"  model = PeftModel.from_pretrained(base, {str(folder)!r})",
    ]

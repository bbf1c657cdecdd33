"""Long streams as a file of their own, which `ks stream --json` writes."""

from __future__ import annotations

import json
from pathlib import Path

from ks_core import __version__
from ks_core.experiments.lifelong.measurement import Lifelong
from ks_core.experiments.request.inputs import Inputs
from ks_core.outputs import write_text
from ks_core.reporting.lifelong_numbers import lifelong_numbers
from ks_core.reporting.results import plain

FORMAT = "ks_core/stream/1"


def write_stream(path: Path, inputs: Inputs, measured: Lifelong) -> None:
    """Write what was made, of which inputs, and everything that was measured; NaN becomes null.

    Raises:
        InputError: the file cannot be written.
    """
    content = {
        "format": FORMAT,
        "ks_core": __version__,
        "model": inputs.settings.model_origin,
        "request": {
            "edits": len(measured.plan.edits),
            "orders": len(measured.plan.orders),
            "layer": measured.plan.layer,
            **{name: getattr(inputs.settings, name) for name in ("tokens", "ridge", "device", "dtype", "seed")},
        },
        "provenance": {
            "weights_sha256": inputs.model.weights_sha256,
            "corpus": inputs.corpus.name,
            "corpus_sha256": inputs.corpus.sha256,
            "facts": inputs.facts.name,
            "facts_sha256": inputs.facts.fingerprint,
        },
        "lifelong": lifelong_numbers(measured),
    }
    write_text(path, json.dumps(plain(content), indent=1, allow_nan=False) + "\n")

"""The `--ks-*` options of a measurement, as data: name, and what pytest's parser takes for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ks_core import defaults
from ks_core.command import given, integer, integers, number

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "--ks-model": {
        "type": given,
        "metavar": "MODEL",
        "help": f"packaged model, local folder or hub id (default: {defaults.MODEL})",
    },
    "--ks-family": {
        "dest": "ks_families",
        "type": given,
        "metavar": "MODEL",
        "nargs": "+",
        "action": "append",
        "help": "two or more models of one family, for the claim about size; can be given again for another family "
        "(default: in a checkout of the project its own three families, when the model is the default)",
    },
    "--ks-revision": {"type": given, "metavar": "REV", "help": "branch, tag or commit of a hub model"},
    "--ks-corpus": {
        "type": given,
        "metavar": "TEXT",
        "help": "packaged text, .txt/.jsonl/.parquet file or folder, hub:dataset:config:split",
    },
    "--ks-facts": {
        "type": given,
        "metavar": "FILE",
        "help": "facts: CounterFact JSON or a file in ks_core's schema (default: packaged)",
    },
    "--ks-num-facts": {
        "type": integer(),
        "metavar": "N",
        "help": f"known facts to measure (default: {defaults.NUM_FACTS})",
    },
    "--ks-num-edits": {
        "type": integer(),
        "metavar": "N",
        "help": f"facts to edit one after another (default: {defaults.NUM_EDITS})",
    },
    "--ks-insertions": {
        "type": integer(),
        "metavar": "N",
        "help": "arbitrary edits to make in the model of the run, to see how many a layer takes "
        f"(default: {defaults.INSERTIONS})",
    },
    "--ks-tokens": {
        "type": integer(),
        "metavar": "N",
        "help": f"tokens of text for the second moments (default: {defaults.TOKENS})",
    },
    "--ks-layers": {
        "type": integers,
        "metavar": "L,L,…",
        "help": "layers to measure, such as 0,8,16 (default: all)",
    },
    "--ks-device": {"type": given, "metavar": "DEVICE", "help": f"torch device (default: {defaults.DEVICE})"},
    "--ks-dtype": {
        "type": given,
        "metavar": "DTYPE",
        "help": f"of the forward passes: float32, float64, bfloat16 or float16 (default: {defaults.DTYPE})",
    },
    "--ks-ridge": {
        "type": number,
        "metavar": "R",
        "help": "added to all eigenvalues of second moments, in mean eigenvalues (default: 0)",
    },
    "--ks-longest-text": {
        "type": integer(),
        "metavar": "N",
        "help": f"tokens after which a text is cut (default: {defaults.LONGEST_TEXT})",
    },
    "--ks-batch-tokens": {
        "type": integer(),
        "metavar": "N",
        "help": f"tokens in one forward pass over text (default: {defaults.BATCH_TOKENS})",
    },
    "--ks-resamples": {
        "type": integer(),
        "metavar": "B",
        "help": f"bootstrap samples of the facts (default: {defaults.RESAMPLES})",
    },
    "--ks-seed": {
        "type": integer(),
        "metavar": "SEED",
        "help": "of the bootstrap, the null model, the laws' examples (default: 0)",
    },
    "--ks-results": {
        "type": given,
        "metavar": "DIR",
        "default": "ks-results",
        "help": "results and figures go to DIR/MODEL (default: ks-results)",
    },
    "--ks-baselines": {
        "type": given,
        "metavar": "DIR",
        "help": "folder of baselines (default: those of the project)",
    },
    "--ks-update-baseline": {"action": "store_true", "help": "write the baseline of this request anew"},
}

"""The model card that lies beside a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def card(record: Mapping[str, Any]) -> str:
    """A model card in Markdown, from what `training.json` holds."""
    known, corpus, facts, seconds = record["known"], record["corpus"], record["facts"], record["seconds"]
    command = (
        f"python tools/train_families.py FOLDER --family {record['family']} --depth {record['depth']} "
        f"--seed {record['seed']} --tokens {record['tokens']} --corpus {corpus['name']} --facts {facts['name']}"
    )
    text = (
        f"transformers' own `{record['family']}` architecture with {record['depth']} layers and "
        f"{record['parameters_outside_embedding']:,} parameters outside its embedding ({record['parameters']:,} in all)"
    )
    loss = (
        f"{record['validation_loss']:.3f} ± {record['validation_loss_error']:.3f} nats a token (standard error over "
        f"rows), over {record['validation_tokens']:,} tokens of articles that were "
        "not trained on"
    )
    facts_known = (
        f"{known['facts']} of {known['of_facts']}; in wordings that were not trained on {known['new_wordings']} of "
        f"{known['of_new_wordings']}"
    )
    taken = "not recorded" if seconds["training"] is None else f"{seconds['training']:,} s on {seconds['device']}"
    return f"""# {record["name"]}

A toy: {text}.
It was trained for `ks_core`, so that three architectures in several sizes can be measured where no model hub is in
reach. It is not a model of OpenAI, EleutherAI or Meta, and is of no use but for such measurements.

| | |
|---|---|
| text | {corpus["name"]} ({corpus["licence"] or "licence of its source"}), sha256 `{corpus["sha256"]}` |
| facts | {facts["name"]}, {facts["statements"]:,} statements, sha256 `{facts["sha256"]}` |
| tokens | {record["tokens"]:,}, of a tokenizer of {record["vocabulary"]:,} entries that all members share |
| validation loss | {loss} |
| facts known | {facts_known} |
| weights | float16, `model.safetensors` has sha256 `{record["weights_file_sha256"]}` |
| time | {taken} |
| made by | `{command}` |

The numbers are of the weights as they lie here. The same command trains on the same text in the same order; rounding
differs between machines and versions, so weights made elsewhere are others, trained alike.
"""

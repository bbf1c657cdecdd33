"""`ks moments --dry-run`: what a collection would take, by the model's config or by a few batches that are timed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ks_core.cli.output import write_json

if TYPE_CHECKING:
    from ks_core.data.corpus import Corpus
    from ks_core.measurement.moments.plan import MomentPlan
    from ks_core.measurement.moments.rate import Rate
    from ks_core.models.loaded import LoadedModel

FORMAT = "ks_core/dry-run-of-moments/1"

MANY = 1 << 20
"""Tokens that a plan is made for where nobody knows how many are enough: what memory it takes does not go by them."""


def planned(options: argparse.Namespace) -> int:
    """Say what it would take, from the model's config alone; on a GPU, which may be another machine's, no time."""
    from ks_core.data.corpus import check_corpus
    from ks_core.reporting.dry_run import SHARE, measured_speed
    from ks_core.reporting.moments import plan_text

    check_corpus(options.corpus)
    plan, rate = _plan(options), options.rate
    speed = SHARE * measured_speed() if plan.kind == "cpu" and rate is None else None
    seconds = plan.seconds(rate) if rate is not None else None if speed is None else plan.operations / speed
    write_json(options.json, FORMAT, _record(plan, seconds))
    print(plan_text(plan, options.memory, rate, speed=speed))
    return 0


def _record(plan: MomentPlan, seconds: float | None) -> dict[str, Any]:
    return {
        "command": "moments",
        "model": plan.shape.name,
        "about_seconds": seconds,
        "tokens": plan.tokens * len(plan.passes),
        "passes": plan.passes,
        "operations": plan.operations,
        "bytes": {"device": plan.device, "host": plan.host, "disk": plan.disk},
    }


def _plan(options: argparse.Namespace) -> MomentPlan:
    from ks_core.measurement.moments.planning import plan_by_name

    return plan_by_name(
        options.model,
        revision=options.revision,
        tokens=options.tokens or MANY,  # of 'auto', which memory does not go by
        layers=options.layers,
        batch_tokens=options.batch_tokens,
        longest_text=options.longest_text,
        dtype=options.dtype,
        device=options.device if options.device_map is None else "cuda",
        memory=options.memory,
        offload=options.device_map is not None,
    )


def room_for_weights(options: argparse.Namespace) -> dict[int | str, int]:
    """What a map may put on each GPU, so that sums find room beside: of all layers, however many GPUs share them."""
    import torch

    from ks_core.measurement.moments.resident import host_memory

    weights = _plan(options).device["weights"]
    return {**dict.fromkeys(range(torch.cuda.device_count()), weights), "cpu": host_memory()}


def timed(options: argparse.Namespace, model: LoadedModel, corpus: Corpus) -> tuple[MomentPlan, Rate]:
    """The plan of the model as it is loaded, and how fast a few batches of its last pass were."""
    from ks_core.measurement.moments.planning import plan_of_model
    from ks_core.measurement.moments.rate import measured_rate
    from ks_core.measurement.moments.second_moments import layers_of

    longest = min(options.longest_text or model.context_length, model.context_length)
    layers = layers_of(model, options.layers)
    reads = {"batch_tokens": options.batch_tokens, "longest": longest}
    plan = plan_of_model(model, options.tokens, layers, memory=options.memory, **reads)
    of_pass = {"batches_timed": options.batches, "batch_tokens": options.batch_tokens, "longest": longest}
    return plan, measured_rate(model, corpus, plan.passes[-1], plan.placing, **of_pass)

"""Interference of an edit: predicted from P and residuals, and measured on the module."""

from __future__ import annotations

from dataclasses import dataclass

from ks_core.experiments.streams.agreement import Agreement


@dataclass(frozen=True, eq=False)
class Interference:
    """Δ_o at bystanders and protected facts and Δ_e at the edits, predicted from P and residuals, and measured."""

    bystanders: Agreement
    protected: Agreement
    edits: Agreement

"""What edits will break, before they are made: `audit(model, edits, keep)`, and `ks audit` on the command line."""

from ks_core.audit.predict import Audit, Disturbance, LayerInterference, audit
from ks_core.audit.report import as_json, table

__all__ = ["Audit", "Disturbance", "LayerInterference", "as_json", "audit", "table"]

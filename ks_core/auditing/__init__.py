"""What edits will break, before they are made: `audit(model, edits, keep)`, and `ks audit` on the command line."""

from ks_core.auditing.files import as_json, write_audit
from ks_core.auditing.predict import Audit, Disturbance, LayerInterference, audit
from ks_core.auditing.report import table

__all__ = ["Audit", "Disturbance", "LayerInterference", "as_json", "audit", "table", "write_audit"]

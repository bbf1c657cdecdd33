"""What edits will break, before they are made: `ks_core.audit` in Python, `ks audit` on the command line."""

from ks_core.extras import require

require("models", "ks_core.auditing")

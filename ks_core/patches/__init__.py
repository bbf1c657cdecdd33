"""An edit as a file: made, loaded by anyone, measured again, taken back."""

from ks_core.extras import require

require("models", "ks_core.patches")

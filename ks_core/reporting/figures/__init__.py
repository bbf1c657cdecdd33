"""The figures, and how figures become PNG files."""

from ks_core.extras import require

require("paper", "ks_core.reporting.figures")

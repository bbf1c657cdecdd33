"""Small families of one's own: decoders of three architectures in several sizes, trained on one text."""

from ks_core.extras import require

require("models", "tools/training")

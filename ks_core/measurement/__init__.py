"""Model × data → arrays: second moments from text, keys and known facts from prompts, and the store that holds them."""

from ks_core.extras import require

require("models", "ks_core.measurement")

"""The only room that knows transformers: model families behind one adapter, tokenising, loading, packaged weights."""

from ks_core.extras import require

require("models", "ks_core.models")

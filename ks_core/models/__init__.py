"""The only room that knows transformers: model families behind one adapter, tokenising, loading, packaged weights."""

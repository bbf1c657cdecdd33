"""Superposition of models of one family against their size."""

"""Pairs of facts: P, Q and cosines of every layer, and their statistics with errors."""

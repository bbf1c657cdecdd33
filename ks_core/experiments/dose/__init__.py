"""Dose and response: one edit at a time, and what it does to its neighbours."""

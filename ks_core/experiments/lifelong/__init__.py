"""Hundreds of edits of one model, by many methods, in several orders: what each keeps, what each breaks, and when."""

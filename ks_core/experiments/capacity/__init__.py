"""Streams of insertions on models of many widths: how many edits a layer takes before what it knows is lost."""

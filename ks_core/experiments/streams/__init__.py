"""Streams of edits by several methods: predicted and measured interference, growth, behaviour."""

"""Performs a run: prepare, converse, collect and push."""

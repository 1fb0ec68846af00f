"""Performs a run in four steps: prepare, converse, collect and push."""

"""Performs a run in five steps: prepare, set up, converse, collect and push."""

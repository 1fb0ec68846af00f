"""Starts programs, reads their output, ends them, and locks files."""

"""Starts programs, reads their output, and ends them."""

"""Starts, reads and ends programs."""

"""Runs: their rows, commands and logs."""

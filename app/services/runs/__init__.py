"""Runs: start, steer, queue, recover and end."""

"""Runs: start, steer, queue, verify, recover and end; with whose authority they act, and what they use."""

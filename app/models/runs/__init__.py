"""Runs: their rows, commands, logs, questions, reviews and verifications."""

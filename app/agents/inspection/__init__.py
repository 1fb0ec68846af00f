"""Checks of this machine: which protections of the sandbox hold."""

"""Checks of this machine: which agents respond, and which protections of the sandbox hold."""

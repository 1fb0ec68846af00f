"""Checks which agents respond and which parts of the sandbox hold on this machine."""

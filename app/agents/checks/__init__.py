"""The execution of checks."""

"""Checks of the code base itself, run by `make check`."""

"""Taskbeacon for people (the command, `taskbeacon.cli`) and for programs (the client, `taskbeacon.client`)."""

# Also that of the server; a test compares `app.__version__` and what pyproject.toml asks for.
__version__ = "0.1.0"

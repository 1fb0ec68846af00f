"""Taskbeacon for people (the command, `taskbeacon.cli`) and for programs (the client, `taskbeacon.client`)."""

# The only definition, of the server too: the metadata of both and the published description read it.
__version__ = "0.1.0"

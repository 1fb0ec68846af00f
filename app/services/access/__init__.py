"""The caller: who it is, which rows of a project it sees, and which actions it may take."""

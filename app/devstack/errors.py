"""Errors of the development stack. Each message is complete: the command line prints it and nothing else."""

INTERRUPTED = 130  # the exit status of a command that Ctrl-C has stopped


class DevstackError(Exception):
    """A failure of the development stack. Its message says what the person at the terminal can do."""


class StopRequested(Exception):
    """Ctrl-C or SIGTERM interrupted a wait in the development stack."""

"""Errors of the development stack. Each message is complete: the command line prints it and nothing else."""


class DevstackError(Exception):
    """An error that the person at the terminal can act on."""


class StackAlreadyRuns(DevstackError):
    """Another launcher owns the home folder."""


class StopRequested(Exception):
    """Ctrl-C or SIGTERM arrived during a wait."""

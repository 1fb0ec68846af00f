"""Errors of the development stack. Each message is complete: the command line prints it and nothing else."""


class DevstackError(Exception):
    """A failure of the development stack, with a message that the person at the terminal can act on."""


class StackAlreadyRuns(DevstackError):
    """Another process already runs a development stack in this home folder."""


class StopRequested(Exception):
    """The error of a wait in the development stack that Ctrl-C or SIGTERM interrupted."""

"""Enumerations of checks, of their results, and of the verdict about a run."""

from enum import StrEnum


class CheckGate(StrEnum):
    """Which failures of a check count: all, those that the base did not have, or none."""

    STRICT = "strict"
    REGRESSION = "regression"
    INFORMATIONAL = "informational"


class CheckSource(StrEnum):
    """The place that defines a check, in the order in which places are united."""

    PROJECT = "project"
    REPOSITORY = "repository"
    FILE = "file"
    TASK = "task"
    RUN = "run"


class ChecksNetwork(StrEnum):
    """The network of checks: none, or that of the run."""

    NONE = "none"
    RUN = "run"


class OnUnverified(StrEnum):
    """How a run ends whose verdict is `refuted` or `inconclusive`."""

    COMPLETE = "complete"
    FAIL = "fail"


class BaseUse(StrEnum):
    """When checks are executed on the base: where it can change the verdict, or always."""

    AUTO = "auto"
    ALWAYS = "always"


class BaseExpectation(StrEnum):
    """What a check must do on the base for its result to prove anything."""

    FAILED = "failed"

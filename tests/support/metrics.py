"""Values of the metrics of this process."""

from collections.abc import Callable

from prometheus_client import REGISTRY

__all__ = ["growth"]

Growth = Callable[[], float]


def growth(name: str, **labels: str) -> Growth:
    """Return a function for the growth of a metric from now, rounded: the float may be inexact."""
    before = REGISTRY.get_sample_value(name, labels) or 0.0
    return lambda: round((REGISTRY.get_sample_value(name, labels) or 0.0) - before, 6)

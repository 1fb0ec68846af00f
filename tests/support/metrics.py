"""What metrics of this process say."""

from collections.abc import Callable

from prometheus_client import REGISTRY

__all__ = ["growth"]

Growth = Callable[[], float]


def growth(name: str, **labels: str) -> Growth:
    """Return what says how much a metric has grown since now; a float is rounded, which others may have added to."""
    before = REGISTRY.get_sample_value(name, labels) or 0.0
    return lambda: round((REGISTRY.get_sample_value(name, labels) or 0.0) - before, 6)

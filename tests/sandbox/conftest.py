"""The sandbox is tried with what the tests of agents use."""

from tests.agents.conftest import make_cell, origin, runner, sandbox

__all__ = ["make_cell", "origin", "runner", "sandbox"]

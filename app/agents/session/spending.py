"""The usage of agents in tokens and money; a separate module, so that services need not load the protocol's models."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens, and the cost in US dollars as far as agents report it."""

    tokens: int = 0
    cost: float = 0.0

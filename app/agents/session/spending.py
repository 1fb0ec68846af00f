"""The usage of agents in tokens and money. Apart from usage.py, so that services need not load the protocol's models."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens, and US dollars as far as agents report them."""

    tokens: int = 0
    cost: float = 0.0

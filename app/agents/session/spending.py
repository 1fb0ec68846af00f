"""What agents use of tokens and money; without the protocol's models, which whoever only adds up need not load."""

from dataclasses import dataclass

__all__ = ["Spent"]


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens, and US dollars as far as agents tell."""

    tokens: int = 0
    cost: float = 0.0

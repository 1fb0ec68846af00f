"""The live events of runs: publish them to Redis, keep them for a day, follow them (ADR 17)."""

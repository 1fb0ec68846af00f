"""The live events of runs in Redis: publish, keep for a day, follow them (ADR 17). A copy, not the record."""

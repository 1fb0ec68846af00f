"""The log of a run, and the events that its followers get."""

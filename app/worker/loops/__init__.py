"""Loops that a worker runs beside its jobs, from its start to its end."""

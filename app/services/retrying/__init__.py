"""Retries: the policies and schedules for what failed, and the budget that repeats a step."""

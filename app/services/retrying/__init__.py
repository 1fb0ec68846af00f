"""Repeating what failed: policies and schedules, and the budget that repeats a step."""

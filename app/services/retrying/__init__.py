"""Retries: policies and schedules for what failed, the budget of a step, and leases on rows that are due."""

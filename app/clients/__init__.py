"""The outside world: each server behind a small protocol, with its own errors and a timeout on every call."""

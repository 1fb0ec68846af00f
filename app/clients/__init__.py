"""Clients of other servers: each behind a small protocol, with its own errors and a timeout on every call."""

"""Clients of other servers: each with its own errors, and a timeout on every call."""

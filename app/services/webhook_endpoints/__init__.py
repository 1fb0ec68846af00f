"""Webhooks that go out: endpoints of users, from events to deliveries, attempts, and their log (ADR 61)."""

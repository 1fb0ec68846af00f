"""Outgoing webhooks: endpoints of users, deliveries made from events, attempts, and their log (ADR 61)."""

"""Outgoing webhooks: the webhook endpoints of users, and the deliveries of events to them (ADR 61)."""

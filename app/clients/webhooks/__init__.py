"""Webhook messages to receivers that users chose, one request for each attempt."""

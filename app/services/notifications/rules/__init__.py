"""The rules for push notices: what decides about them, the decisions, and how presence affects deferred notices."""

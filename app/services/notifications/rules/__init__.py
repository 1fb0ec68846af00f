"""The rules for push notices: the decision about each, cooldowns, and quiet hours."""

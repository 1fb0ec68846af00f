"""The rules for push notices: the decision about each, cooldowns, quiet hours, and the reading of notices."""

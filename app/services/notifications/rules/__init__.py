"""The rules for push notices: their facts, the decisions, and how presence settles waiting notices."""

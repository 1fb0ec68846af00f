"""`make demo`: one task, end to end."""

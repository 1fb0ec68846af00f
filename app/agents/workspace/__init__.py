"""The workspace of a run, and the work that is collected from it."""

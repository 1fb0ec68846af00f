"""The workspace of a run, and what is taken from it: work, live changes, output and conversation."""

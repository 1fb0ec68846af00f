"""The performance of an attempt to check what a run delivered."""

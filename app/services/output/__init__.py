"""A run's output: its log and its live stream."""

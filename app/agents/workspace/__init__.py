"""A run's working folder, and the results collected from it."""

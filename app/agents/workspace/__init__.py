"""A run's working folder and what is collected from it."""

"""Files of tasks and runs."""

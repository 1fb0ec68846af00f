"""Safe access to files that agents write."""

"""Tasks: create, list, search, change and delete."""

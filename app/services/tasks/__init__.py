"""Tasks: create, list, search, change, delete, pin and follow."""

"""`taskbeacon try`: an agent on your own repository."""

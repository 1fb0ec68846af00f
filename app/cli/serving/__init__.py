"""How `taskbeacon serve` loads the API, listens, and speaks HTTP."""

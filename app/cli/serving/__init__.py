"""The API process of `taskbeacon serve`: loading it, sharing its port, and its HTTP protocol."""

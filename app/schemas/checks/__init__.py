"""Wire formats of checks."""

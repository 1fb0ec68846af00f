"""The published description of the API."""

"""Measurements with bars: `make bench-…` prints one JSON object and fails when a bar is missed."""

"""A run's network: the egress proxy and its domains."""

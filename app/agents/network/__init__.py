"""The network access of a run's agent: an egress proxy, and the hosts that it lets through."""

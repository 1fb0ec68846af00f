"""The steps by which a worker performs one run."""

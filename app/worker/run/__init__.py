"""The steps by which a worker performs one run, or an attempt of its verification."""

"""Keys, sessions and stored secrets, and the addresses that others may let the service connect to."""

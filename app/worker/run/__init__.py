"""One run as a worker performs it."""

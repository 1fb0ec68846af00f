"""HTTP plumbing that all routers share. Beside `routers` and `main` the only place that knows FastAPI."""

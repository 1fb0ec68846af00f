"""HTTP code that all routers share. Only this package, `routers` and `main` import FastAPI."""

"""HTTP code that all routes share. Only `app.web`, `app.routers` and `app.main` import FastAPI."""

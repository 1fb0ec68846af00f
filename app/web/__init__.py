"""HTTP code that all endpoints share. Only `app.web`, `app.routers` and `app.main` import FastAPI."""

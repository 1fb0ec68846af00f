"""The OpenAPI document of the API: its texts, examples, and what FastAPI cannot find out itself."""

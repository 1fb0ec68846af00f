"""HTTP clients of the application in this process."""

from collections.abc import Mapping

import httpx
from fastapi import FastAPI

__all__ = ["in_process_client"]


def in_process_client(application: FastAPI, *, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    """Return a client that calls the application without a socket, so that there is nothing to close."""
    # An exception must become an answer, as it does in production.
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers)

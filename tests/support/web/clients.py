"""HTTP clients: of the application in this process, and over sockets."""

import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

import httpx
from fastapi import FastAPI

_SECONDS = 120


def in_process_client(application: FastAPI, *, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
    """Return a client that calls the application without a socket, so that there is nothing to close."""
    # An exception must become an answer, as it does in production.
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers)


def socket_client(**options: Any) -> httpx.AsyncClient:
    """Return a client as httpx makes it, but patient: servers of a busy machine take more than five seconds at times.

    Certificates are read only once: that takes longer than most tests.
    """
    return httpx.AsyncClient(verify=_certificates(), **{"timeout": _SECONDS} | options)


@cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()

"""S3 clients of aioboto3, which is imported at the first call that needs one.

At the start of a process the import would add 0.2 s and 25 MB, although most API processes never read or
write an object. An idle process would exceed its limit of 140 MB.
"""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

import aioboto3
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from app.config import Settings


class S3Clients(NamedTuple):
    """Two S3 clients of the library aioboto3.

    `internal` sends requests to the S3 server. `public` signs URLs for the host name by which clients reach it.
    """

    internal: Any
    public: Any


def open_clients(settings: Settings, *, connections: int) -> AbstractAsyncContextManager[S3Clients]:
    """Return a context manager that opens the S3 clients, each with at most `connections` connections.

    Call the function in a thread, because it reads files and so blocks the event loop.
    """
    library = get_session()
    for description in ("service-2", "endpoint-rule-set-1"):
        library.get_component("data_loader").load_service_model("s3", description)
    return _open(settings, aioboto3.Session(botocore_session=library), connections)


@asynccontextmanager
async def _open(settings: Settings, session: Any, connections: int) -> AsyncGenerator[S3Clients, None]:
    secret = settings.s3_secret_access_key
    options: dict[str, Any] = {
        "aws_access_key_id": settings.s3_access_key_id,
        "aws_secret_access_key": secret.get_secret_value() if secret else None,
        "region_name": settings.s3_region,
        "config": AioConfig(
            signature_version="s3v4",
            # Servers other than Amazon's use the bucket in the path, not in the host name.
            s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
            connect_timeout=2,
            read_timeout=20,
            retries={"max_attempts": 2, "mode": "standard"},
            max_pool_connections=connections,
        ),
    }
    async with (
        session.client("s3", endpoint_url=settings.s3_endpoint_url, **options) as internal,
        session.client("s3", endpoint_url=settings.s3_signing_endpoint_url, **options) as public,
    ):
        yield S3Clients(internal, public)

"""The object store's client on the real server: parts, versions, tags, listings, and what fails how."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.clients.storage.object_store import ObjectStore
from app.clients.storage.object_store_errors import (
    ObjectMissing,
    ObjectStoreUnavailable,
    ObjectTooShort,
    RangeNotSatisfiable,
)
from app.clients.storage.s3_connection import failures
from app.config import Settings
from app.ids import new_hex_id
from tests.support.deployment.processes import closed_port
from tests.support.web.serving import serving

pytestmark = pytest.mark.slow
CONTENT = b"0123456789"


@pytest.fixture
async def key(store: ObjectStore) -> AsyncGenerator[str, None]:
    """An object below a prefix of this test's own, under a name that needs quoting everywhere."""
    key = f"tests/{new_hex_id()}/é$& +א '\"<>;#?%41&amp;.txt"
    await store.put(key, CONTENT, content_type="text/plain", tags={"ttl_days": "1", "other": "a b&c"})
    yield key
    await store.delete([key])


async def read(store: ObjectStore, key: str, **part: str) -> tuple[bytes, str | None]:
    async with store.open(key, **part) as content:
        return b"".join([chunk async for chunk in content.chunks]), content.content_range


async def test_object_is_described_and_read_whole(store: ObjectStore, key: str) -> None:
    info = await store.head(key)
    assert info is not None
    assert (info.size, info.content_type) == (10, "text/plain")
    assert info.modified_at.tzinfo is not None
    assert await read(store, key) == (CONTENT, None)


async def test_part_is_read_alone(store: ObjectStore, key: str) -> None:
    assert await read(store, key, byte_range="bytes=2-4") == (b"234", "bytes 2-4/10")
    with pytest.raises(RangeNotSatisfiable):
        await read(store, key, byte_range="bytes=10-")


async def test_part_of_another_version_is_the_whole(store: ObjectStore, key: str) -> None:
    async with store.open(key) as content:
        version = content.etag
    assert await read(store, key, byte_range="bytes=0-1", if_match=version) == (b"01", "bytes 0-1/10")
    assert await read(store, key, byte_range="bytes=0-1", if_match='"other"') == (CONTENT, None)


async def test_missing_object_is_no_outage(store: ObjectStore) -> None:
    missing = f"tests/{new_hex_id()}"
    assert await store.head(missing) is None
    with pytest.raises(ObjectMissing):
        await read(store, missing)
    with pytest.raises(ObjectMissing):
        await store.tag(missing, {"ttl_days": "1"})


async def test_listing_names_size_and_time_and_deleting_is_repeatable(store: ObjectStore, key: str) -> None:
    prefix = key.rpartition("/")[0]
    pages = [page async for page in store.bucket.list_pages(prefix)]
    assert [(listed.key, listed.size) for page in pages for listed in page] == [(key, 10)]
    assert await store.delete([key]) == 1
    assert await store.delete([key]) == 1
    assert await store.head(key) is None


async def test_clients_that_cannot_be_opened_in_time_are_an_outage(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key the library asks a server for one, here a silent one, and all callers waited for that."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", place)
        keyless = {"s3_access_key_id": None, "s3_secret_access_key": None}
        async with ObjectStore(settings.model_copy(update=keyless), seconds=0.5) as store:
            async with asyncio.timeout(3):
                for one in (store.head("a"), store.head("b")):
                    with pytest.raises(ObjectStoreUnavailable):
                        await one


async def test_objects_that_the_store_does_not_delete_are_counted_and_logged(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    refused = "<Error><Key>b</Key><Code>AccessDenied</Code><Message>no</Message></Error>"

    async def answer(request: Request) -> Response:
        _ = await request.body()
        return Response(f"<DeleteResult>{refused}</DeleteResult>", media_type="application/xml")

    refusing = Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])
    async with (
        serving(refusing) as url,
        ObjectStore(settings.model_copy(update={"s3_endpoint_url": url})) as store,
    ):
        assert await store.delete(["a", "b"]) == 1

    [record] = [record for record in caplog.records if "object_store.not_deleted" in record.message]
    assert "AccessDenied" in record.message


async def test_missing_bucket_is_an_outage_to_those_who_write(settings: Settings) -> None:
    async with ObjectStore(settings.model_copy(update={"s3_bucket": f"none-{new_hex_id()}"})) as store:
        with pytest.raises(ObjectStoreUnavailable):
            await store.put("a", b"a", content_type="text/plain", tags={})
        with pytest.raises(ObjectStoreUnavailable):
            await store.bucket.check()


async def test_server_that_is_away_is_an_outage(settings: Settings) -> None:
    away = {"s3_endpoint_url": f"http://127.0.0.1:{closed_port()}"}
    async with ObjectStore(settings.model_copy(update=away), attempts=1) as store:
        with pytest.raises(ObjectStoreUnavailable):
            await store.head("a")
        with pytest.raises(ObjectStoreUnavailable):
            await read(store, "a")


@pytest.mark.parametrize("stored", [0, 9, 5 * 2**20])
async def test_object_shorter_than_what_is_to_be_kept_is_not_extended(
    store: ObjectStore, key: str, stored: int
) -> None:
    """Regression: a short start was joined with the new part."""
    await store.put(key, b"a" * stored, content_type="text/plain", tags={})

    with pytest.raises(ObjectTooShort):
        await store.extend(key, stored + 1, b"b", content_type="text/plain", tags={})

    assert await read(store, key) == (b"a" * stored, None)


def test_upload_that_is_missing_when_its_end_is_repeated_may_be_complete() -> None:
    """Regression: it counted as a missing object, and the lines of the log were appended a second time."""
    response = {
        "Error": {"Code": "NoSuchUpload"},
        "ResponseMetadata": {"HTTPStatusCode": 404, "RetryAttempts": 1},
    }

    with (
        pytest.raises(ObjectStoreUnavailable) as raised,
        failures("extend a log", of_object=True, writes=True),
    ):
        raise ClientError(cast("Any", response), "CompleteMultipartUpload")

    assert raised.value.may_be_applied

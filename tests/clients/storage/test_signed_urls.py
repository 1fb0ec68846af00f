"""URLs that open objects: to the letter those of the library, and what the real server makes of them."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta

import httpx
import pytest

from app.clients.storage.object_store import ObjectStore
from app.clients.storage.signed_urls import URL_LIFETIME, UrlSigner
from app.config import Settings
from app.ids import new_hex_id

CONTENT = b"0123456789"
NAMES = ["plain.txt", "é$& +א '\"<>;#?%41&amp;.txt", "a/b//c~d/../e", "!*()=:@,[]{}|\\^`%"]
DISPOSITION = "attachment; filename=\"a b.txt\"; filename*=UTF-8''%C3%A9%20%22.txt"


@pytest.fixture
def signer(settings: Settings) -> UrlSigner:
    endpoint, key_id, secret = (
        settings.s3_signing_endpoint_url,
        settings.s3_access_key_id,
        settings.s3_secret_access_key,
    )
    assert endpoint is not None
    assert key_id is not None
    assert secret is not None
    return UrlSigner(endpoint, settings.s3_bucket, region=settings.s3_region, key_id=key_id, secret=secret)


@pytest.fixture
async def key(store: ObjectStore) -> AsyncGenerator[str, None]:
    key = f"tests/{new_hex_id()}/{NAMES[1]}"
    await store.put(key, CONTENT, content_type="text/plain", tags={})
    yield key
    await store.delete([key])


async def in_one_second(ours: Callable[[], str], library: Callable[[], Awaitable[str]]) -> tuple[str, str]:
    """Return both URLs, signed in the same second of the clock."""
    while True:
        before = ours()
        theirs = await library()
        if before == ours():
            return before, theirs


@pytest.mark.parametrize("name", NAMES)
async def test_url_is_the_one_of_the_library(store: ObjectStore, signer: UrlSigner, name: str) -> None:
    ours, theirs = await in_one_second(
        lambda: signer.sign(name, URL_LIFETIME), lambda: store.urls.sign_by_library(name, URL_LIFETIME, {})
    )

    assert ours == theirs


async def test_url_with_another_disposition_is_the_one_of_the_library(
    store: ObjectStore, signer: UrlSigner
) -> None:
    lifetime = timedelta(minutes=5)
    parameters = {"response-content-disposition": DISPOSITION, "response-content-type": "a/b; c=d"}

    ours, theirs = await in_one_second(
        lambda: signer.sign("a", lifetime, parameters=parameters),
        lambda: store.urls.sign_by_library("a", lifetime, parameters),
    )

    assert ours == theirs


async def test_url_opens_this_object_for_reading_only(
    store: ObjectStore, key: str, http: httpx.AsyncClient
) -> None:
    url = await store.urls.of(key)

    assert (await http.get(url)).content == CONTENT
    assert (await http.put(url, content=b"other")).status_code == 403
    assert (await http.get(url.replace("/tests/", "/other/"))).status_code == 403


async def test_download_has_the_disposition_and_type_that_were_signed(
    store: ObjectStore, key: str, http: httpx.AsyncClient
) -> None:
    url = await store.urls.download(
        key, disposition=DISPOSITION, content_type="application/json", lifetime=timedelta(minutes=1)
    )

    answer = await http.get(url)

    assert answer.headers["content-disposition"] == DISPOSITION
    assert answer.headers["content-type"] == "application/json"
    assert (await http.get(url.replace("json", "pdf"))).status_code == 403


async def test_without_a_key_of_ours_the_library_finds_one_and_signs(
    settings: Settings, key: str, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.s3_access_key_id is not None
    assert settings.s3_secret_access_key is not None
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", settings.s3_access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", settings.s3_secret_access_key.get_secret_value())
    keyless = settings.model_copy(update={"s3_access_key_id": None, "s3_secret_access_key": None})
    async with ObjectStore(keyless) as store:
        await store.bucket.check()
        url = await store.urls.of(key)
        assert await store.urls.of(key) == url

    assert (await http.get(url)).content == CONTENT


async def test_on_amazon_the_library_finds_the_host(settings: Settings) -> None:
    amazon = {"s3_endpoint_url": None, "s3_public_endpoint_url": None, "s3_region": "eu-central-1"}
    async with ObjectStore(settings.model_copy(update=amazon)) as store:
        url = httpx.URL(await store.urls.of("a/b"))

    assert (url.host, url.path) == (f"{settings.s3_bucket}.s3.amazonaws.com", "/a/b")


async def test_library_is_opened_at_the_first_need_and_once(settings: Settings, key: str) -> None:
    async with ObjectStore(settings) as store:

        def opened() -> object:
            return store._s3._clients

        await store.bucket.check()
        await store.urls.of(key)
        assert opened() is None

        await store.head(key)

        assert opened() is await store._s3.clients()
        assert await store._s3.clients() is await store._s3.clients()

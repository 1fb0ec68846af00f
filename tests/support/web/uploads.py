"""Uploads as a client makes them: by the form that it was given."""

from typing import Any

import httpx

from tests.support.web.clients import socket_client

JSON = dict[str, Any]


async def prepare(client: httpx.AsyncClient, url: str, **overrides: Any) -> JSON:
    """Prepare the upload of one file below `url`, and return the prepared artifact."""
    item = {"name": "notes.txt", "type": "user_attachment", "size": 5, "content_type": "text/plain"}
    response = await client.post(f"{url}/prepare_upload", json={"artifacts": [item | overrides]})
    assert response.status_code == 200, response.text
    [prepared] = response.json()["artifacts"]
    return dict(prepared)


async def upload(prepared: JSON, content: bytes = b"hello", **fields: str) -> httpx.Response:
    """Upload a file to the object store with the form of a prepared artifact; return the response."""
    form = prepared["presigned_post"]
    async with socket_client() as storage:
        return await storage.post(
            form["url"], data={**form["fields"], **fields}, files={"file": ("blob", content, "")}
        )


def finalize_item(prepared: JSON, **overrides: Any) -> JSON:
    """Return the item that finalises a prepared file."""
    names = ("id", "name", "type", "source", "storage_path", "content_type")
    return {name: prepared[name] for name in names} | overrides


async def upload_and_finalize(
    client: httpx.AsyncClient, url: str, content: bytes = b"hello", **overrides: Any
) -> JSON:
    """Prepare, upload and finalise one file, and return the finalised artifact."""
    prepared = await prepare(client, url, **({"size": max(len(content), 1)} | overrides))
    sent = await upload(prepared, content)
    assert sent.status_code == 204, sent.text
    response = await client.post(f"{url}/finalize_upload", json={"artifacts": [finalize_item(prepared)]})
    assert response.status_code == 200, response.text
    [finished] = response.json()["artifacts"]
    return dict(finished)

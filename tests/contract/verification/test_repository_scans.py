"""Checks that a repository suggests, looked for at a request (contract 18.1)."""

from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Project
from app.runtime import ProcessContext
from app.services.check_sources.repository_scans import keep_scan, show_scan
from app.services.code_hosts.host_credentials import read_project_host
from app.verdicts.definitions import Check, FoundCheck
from tests.support.assertions import assert_invalid, concerning
from tests.support.factories import make_integration, make_project
from tests.support.stand_ins.fakes import RecordingQueue

FOUND = FoundCheck(check=Check(id="tox", run=("tox",)), path="tox.ini")
SCAN = show_scan("acme/shop", "c" * 40, [FOUND])


@pytest.fixture
def url(project: Project) -> str:
    return f"/api/projects/{project.id}/check_sets"


async def test_repository_is_scanned_by_one_job_until_there_is_a_result(
    client: httpx.AsyncClient, process: ProcessContext, project: Project, url: str, queue: RecordingQueue
) -> None:
    for spelling in ("acme/shop", " ACME/Shop "):
        response = await client.post(f"{url}/detect", json={"repository": spelling})
        assert (response.status_code, response.json()) == (
            202,
            {"repository": "acme/shop", "status": "scanning"},
        )
    [job] = queue.jobs
    assert job.arguments == {"project_id": project.id, "repository": "acme/shop"}

    await keep_scan(process.redis, project.id, "acme/shop", SCAN)
    response = await client.post(f"{url}/detect", json={"repository": "acme/shop"})
    assert response.status_code == 200
    scan = response.json()
    assert list(scan) == ["repository", "commit", "scanned_at", "found"]
    assert (scan["repository"], scan["commit"], scan["scanned_at"][-1]) == ("acme/shop", "c" * 40, "Z")
    [found] = scan["found"]
    assert found["origin"] == {"path": "tox.ini", "key": None}
    # Taken as it is.
    made = await client.post(url, json={"repository": "acme/shop", "checks": [found["check"]]})
    assert made.json()["checks"] == [found["check"]]


async def test_repository_that_cannot_be_cloned_is_an_error(
    client: httpx.AsyncClient, process: ProcessContext, project: Project, url: str
) -> None:
    await keep_scan(process.redis, project.id, "acme/shop", {"error": "The repository does not exist."})
    response = await client.post(f"{url}/detect", json={"repository": "acme/shop"})
    assert (response.status_code, response.json()) == (400, {"error": "The repository does not exist."})


async def test_scan_of_another_project_is_not_shown(
    client: httpx.AsyncClient, session: AsyncSession, process: ProcessContext, url: str
) -> None:
    other = await make_project(session)
    await keep_scan(process.redis, other.id, "acme/shop", SCAN)
    assert (await client.post(f"{url}/detect", json={"repository": "acme/shop"})).status_code == 202


async def test_first_integration_of_the_project_is_used(session: AsyncSession, project: Project) -> None:
    base_url = "https://github.com"
    plain = await read_project_host(session, git_base_url=base_url, project_id=project.id)
    assert (plain.git_url, plain.integration_id, plain.encrypted_token) == (base_url, None, None)
    first, _ = [
        await make_integration(
            session, project=project, git_url=f"https://{name}.example.com", encrypted_token=name
        )
        for name in ("first", "second")
    ]
    host = await read_project_host(session, git_base_url=base_url, project_id=project.id)
    assert (host.git_url, host.integration_id) == ("https://first.example.com", first.id)
    assert (host.encrypted_token, host.is_personal) == ("first", False)


async def test_repository_must_be_named(client: httpx.AsyncClient, url: str) -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "required"),
        ({"repository": None}, "null"),
        ({"repository": " "}, "blank"),
        ({"repository": "acme"}, "invalid_input"),
        ({"repository": "a/" + "x" * 254}, "max_length"),
    )
    for body, code in cases:
        with concerning(body):
            assert_invalid(await client.post(f"{url}/detect", json=body), "repository", code)

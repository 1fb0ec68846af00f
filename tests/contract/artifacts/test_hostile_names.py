"""Hostile names of files: the key stays below its task and no request ends in a server error (contract 8.1)."""

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.models import Task
from tests.clients.storage.test_storage_keys import ID, NAMES

# One set-up serves all examples: prepared files are not stored, and refused ones change nothing.
PROPERTY = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TEXTS = NAMES.filter(lambda name: not any("\ud800" <= character <= "\udfff" for character in name))


@pytest.fixture
def url(task_url: str) -> str:
    return f"{task_url}/staged_artifacts"


@given(name=TEXTS, content_type=st.one_of(st.just("text/plain"), TEXTS))
@PROPERTY
async def test_prepared_key_stays_below_the_task(
    client: httpx.AsyncClient, url: str, task: Task, name: str, content_type: str
) -> None:
    item = {"name": name, "type": "user_attachment", "size": 5, "content_type": content_type}
    response = await client.post(f"{url}/prepare_upload", json={"artifacts": [item]})
    if response.status_code == 400:
        assert response.json()["attr"] in {"artifacts__0__name", "artifacts__0__content_type"}
        return
    assert response.status_code == 200, response.text
    [prepared] = response.json()["artifacts"]
    prefix = f"tasks/artifacts/team_{task.project_id}/task_{task.id}/staged/{prepared['id']}"
    for key in (prepared["storage_path"], prepared["presigned_post"]["fields"]["key"]):
        assert key == f"{prefix}/{prepared['name']}"


@given(tail=TEXTS, artifact_id=st.one_of(st.just(ID), TEXTS), relative=st.booleans())
@PROPERTY
async def test_path_that_was_not_handed_out_is_never_asked_for(
    client: httpx.AsyncClient, url: str, task: Task, tail: str, artifact_id: str, *, relative: bool
) -> None:
    prefix = f"tasks/artifacts/team_{task.project_id}/task_{task.id}/staged/"
    path = tail if relative else f"{prefix}{artifact_id}/../{tail}"
    item = {"id": artifact_id, "name": "a", "type": "plan", "storage_path": path}
    response = await client.post(f"{url}/finalize_upload", json={"artifacts": [item]})
    assert response.status_code == 400
    if "error" in response.json():
        assert response.json() == {"error": "Artifact storage path is invalid for this task"}


@given(path=TEXTS)
@PROPERTY
async def test_download_of_any_path_is_answered(
    client: httpx.AsyncClient, task_url: str, task: Task, path: str
) -> None:
    url = f"{task_url}/runs/{task.id}/artifacts/download"
    for response in (
        await client.get(url, params={"storage_path": path}),
        await client.post(url, json={"storage_path": path}),
    ):
        assert response.status_code in {400, 404}

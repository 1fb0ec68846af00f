"""The changes of a run, file by file (contract 17.9), from a patch on a real object store."""

from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.agents.git.patches import SHOWN_BYTES
from app.clients.storage.object_store import ObjectStore
from app.models import Run, Task
from app.services.code_hosts.branch_records import BranchRecord, record_branch
from tests.support.assertions import assert_invalid, concerning
from tests.support.factories import make_run
from tests.support.makers import NewRun

JSON = dict[str, Any]

PATCH = """\
diff --git a/src/login.py b/src/login.py
index 1..2 100644
--- a/src/login.py
+++ b/src/login.py
@@ -1,2 +1,3 @@
 import os
-old
+new
+newer
diff --git a/logo.png b/logo.png
index 1..2 100644
GIT binary patch
literal 3
Kcmb

literal 5
Mcmb

"""


# What a diff has beside its files (19.1).
STORED: JSON = {
    "source": "stored",
    "tree": None,
    "at": None,
    "totals": None,
    "left_out": [],
    "missing": None,
    "behind": None,
}


@pytest.fixture
def run_url(task_url: str, run: Run) -> str:
    return f"{task_url}/runs/{run.id}"


async def store_patch(client: httpx.AsyncClient, run_url: str, content: str, **item: str) -> JSON:
    body = {"name": "changes.patch", "type": "output", "content": content} | item
    response = await client.post(f"{run_url}/artifacts", json={"artifacts": [body]})
    assert response.status_code == 200, response.text
    return dict(response.json()["artifacts"][-1])


async def test_changes_are_listed_by_file(client: httpx.AsyncClient, run_url: str) -> None:
    await store_patch(client, run_url, "diff --git a/other b/other\n")
    await store_patch(client, run_url, PATCH)
    # Neither is a patch of the run's own.
    await store_patch(client, run_url, "diff --git a/other b/other\n", name="other.patch")
    await store_patch(client, run_url, "diff --git a/other b/other\n", type="plan")
    response = await client.get(f"{run_url}/diff/")
    assert response.json() == {
        **STORED,
        "base": None,
        "head": None,
        "files": [
            {
                "path": "src/login.py",
                "old_path": None,
                "status": "M",
                "additions": 2,
                "deletions": 1,
                "binary": False,
                "old_size": None,
                "new_size": None,
                "patch": PATCH.partition("diff --git a/logo")[0],
                "truncated": False,
            },
            {
                "path": "logo.png",
                "old_path": None,
                "status": "M",
                "additions": 0,
                "deletions": 0,
                "binary": True,
                "old_size": 5,
                "new_size": 3,
                "truncated": False,
            },
        ],
        "next": None,
    }


async def test_base_and_head_are_those_of_the_push(
    client: httpx.AsyncClient, session: AsyncSession, task: Task, run: Run, run_url: str, task_url: str
) -> None:
    pushed = BranchRecord(
        repository="acme/app",
        integration_id=None,
        branch="taskbeacon/b",
        base_branch="main",
        head_sha="a" * 40,
    )
    await record_branch(session, task_id=task.id, run_id=run.id, pushed=pushed)
    assert (await client.get(f"{run_url}/diff")).json() == {
        **STORED,
        "base": "main",
        "head": "a" * 40,
        "files": [],
        "next": None,
    }
    asked = await make_run(session, task=task, branch="develop")
    answer = (await client.get(f"{task_url}/runs/{asked.id}/diff")).json()
    assert (answer["base"], answer["head"]) == ("develop", None)


async def test_large_patch_is_read_in_pages(client: httpx.AsyncClient, run_url: str) -> None:
    """Pages have at most 2 MB as they are sent, where control characters take six times their size."""
    line = "+" + "\x01" * 1000 + "\n"
    sizes = [300, 200, 200, 1, 0, 1500, 1]
    files = [f"diff --git a/{n} b/{n}\n@@ -0,0 +1 @@\n{line * size}" for n, size in enumerate(sizes)]
    await store_patch(client, run_url, "".join(files))
    seen: list[JSON] = []
    pages = 0
    cursor: str | None = ""
    while cursor is not None:
        response = await client.get(f"{run_url}/diff/", params={"cursor": cursor})
        assert response.status_code == 200, response.text
        assert len(response.content) <= 2_000_000
        page = response.json()
        assert page["files"]
        seen += page["files"]
        cursor = page["next"]
        pages += 1
    assert pages > 2
    assert [(file["path"], file["additions"]) for file in seen] == [
        (str(number), size) for number, size in enumerate(sizes)
    ]
    assert [file["truncated"] for file in seen] == [size * len(line) > SHOWN_BYTES for size in sizes]


async def test_patch_of_many_files_is_read_in_pages(client: httpx.AsyncClient, run_url: str) -> None:
    await store_patch(client, run_url, "".join(f"diff --git a/{n} b/{n}\n" for n in range(1500)))
    first = (await client.get(f"{run_url}/diff/")).json()
    second = (await client.get(f"{run_url}/diff/", params={"cursor": first["next"]})).json()
    assert [file["path"] for file in first["files"] + second["files"]] == [str(n) for n in range(1500)]
    assert second["next"] is None


async def test_anything_may_be_stored_in_place_of_a_patch(
    client: httpx.AsyncClient, task_url: str, new_run: NewRun
) -> None:
    for content, count in (
        ("x", 0),
        ("\0" * 1000, 0),
        ("no patch\n" * 1000, 0),
        ("<script>alert(1)</script>\ndiff --git ", 1),
        ("diff --git a/../../etc/passwd b/\u202e\x1b[31m\n+++ \n@@\n+\0", 1),
    ):
        url = f"{task_url}/runs/{(await new_run()).id}"
        await store_patch(client, url, content)
        with concerning(content[:40]):
            response = await client.get(f"{url}/diff/")
            assert response.status_code == 200
            assert len(response.json()["files"]) == count


async def test_invalid_cursor_is_refused(client: httpx.AsyncClient, run_url: str) -> None:
    await store_patch(client, run_url, PATCH)
    for cursor in ("x", "-1", "1.5", "9" * 30):
        response = await client.get(f"{run_url}/diff/", params={"cursor": cursor})
        with concerning(cursor):
            assert_invalid(response, "cursor", response.json()["code"])
    # Behind the end there is nothing; in the middle of a file its rest is passed over.
    for cursor, count in ((str(len(PATCH)), 0), ("999999", 0), ("5", 1), ("", 2)):
        response = await client.get(f"{run_url}/diff/", params={"cursor": cursor})
        with concerning(cursor):
            assert len(response.json()["files"]) == count


async def test_patch_that_was_removed_is_not_found(
    client: httpx.AsyncClient, store: ObjectStore, run_url: str
) -> None:
    entry = await store_patch(client, run_url, PATCH)
    await store.delete([entry["storage_path"]])
    response = await client.get(f"{run_url}/diff/")
    assert (response.status_code, response.json()) == (404, {"error": "Artifact not found on this run"})

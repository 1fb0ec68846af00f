"""`taskbeacon admin sweep-artifacts`: what it prints, and that a dry run is one."""

import asyncio
from collections.abc import Generator

import pytest

from app.clients.object_store import ObjectStore
from app.config import Settings
from app.ids import new_hex_id
from tests.cli.conftest import Admin, Taskbeacon
from tests.support.deployment.processes import closed_port


@pytest.fixture
def bucket() -> Generator[str, None, None]:
    """The name of an empty bucket: a sweep reads all of it, and the tests' own is shared."""
    name = f"sweep-{new_hex_id()}"

    async def do(method: str) -> None:
        async with ObjectStore(Settings()) as store:
            await getattr((await store.clients()).internal, method)(Bucket=name)

    asyncio.run(do("create_bucket"))
    yield name
    asyncio.run(do("delete_bucket"))


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_sweep_prints_what_it_did(admin: Admin, bucket: str, options: list[str]) -> None:
    answer = admin("sweep-artifacts", *options, TASKBEACON_S3_BUCKET=bucket)

    assert answer == {
        "dry_run": bool(options),
        "expired_entries": 0,
        "removed": 0,
        "bytes": 0,
        "reasons": {},
        "objects": [],
    }


def test_store_that_is_away_is_said_in_one_line(taskbeacon: Taskbeacon) -> None:
    result = taskbeacon(
        "admin", "sweep-artifacts", TASKBEACON_S3_ENDPOINT_URL=f"http://127.0.0.1:{closed_port()}"
    )

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "Error: the object store does not answer: could not list tasks/artifacts/\n"

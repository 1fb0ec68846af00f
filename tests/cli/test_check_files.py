"""`taskbeacon admin check-files`: a line for each file that is not as its row says, then how many there are."""

import json

import pytest

from app.clients.storage.object_store import ObjectStore
from app.clients.storage.storage_keys import RunRef
from app.ids import new_id
from tests.cli.conftest import Taskbeacon
from tests.support.deployment.processes import closed_port


@pytest.fixture
async def without_row(own_bucket: ObjectStore) -> str:
    """The key of a file that no row names, in a bucket with no other."""
    key = RunRef(1, new_id(), new_id()).log_key
    await own_bucket.put(key, b"{}\n", content_type="application/jsonl", tags={})
    return key


def test_each_file_has_a_line_before_the_counts(
    taskbeacon: Taskbeacon, own_bucket: ObjectStore, without_row: str
) -> None:
    result = taskbeacon("admin", "check-files", TASKBEACON_S3_BUCKET=own_bucket.bucket.name)

    assert result.exit_code == 0, result.stderr
    found, counts = map(json.loads, result.stdout.splitlines())
    del found["at"]
    assert found == {"found": "without_row", "key": without_row, "row_size": None, "stored_size": 3}
    assert counts == {"same": 0, "missing": 0, "differs": 0, "without_row": 1}


def test_store_that_is_away_is_said_in_one_line(taskbeacon: Taskbeacon) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    result = taskbeacon("admin", "check-files", TASKBEACON_S3_ENDPOINT_URL=url)

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: cannot compare the bucket: ")

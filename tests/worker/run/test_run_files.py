"""Files into a run and out of it, also without room for them: a real agent process and store (contract 5.8, 8)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.agents.files.attachments import take_artifacts
from app.clients.storage.bucket import STAGED_DAYS
from app.clients.storage.storage_keys import RunRef, staged_folder
from app.db import unit_of_work
from app.enums import ArtifactType, RunStatus
from app.ids import new_hex_id
from app.models import Run
from app.schemas.staged_artifacts import ArtifactOut
from app.services.artifacts.artifact_uploads import tags
from app.worker.jobs.execute_run import execute_run
from tests.fixtures.worker import Repositories, Workshop
from tests.support.deployment.small_disk import fill, small_disk
from tests.support.web.clients import socket_client

FULL = "The disk of the worker is full. Start the run again when there is room."


async def attach(workshop: Workshop, run: Run, *, name: str, content: bytes | None) -> ArtifactOut:
    """Attach a file to a queued run as the request does that starts it; `content` None: it is lost."""
    artifact_id = new_hex_id()
    key = staged_folder(run.project_id, run.task_id).key(artifact_id, name)
    if content is not None:
        await workshop.context.process.store.put(
            key, content, content_type="text/plain", tags=tags(STAGED_DAYS, run.project_id)
        )
    entry: ArtifactOut = {
        "id": artifact_id,
        "name": name,
        "type": ArtifactType.USER_ATTACHMENT,
        "source": "",
        "size": len(content or b""),
        "content_type": "text/plain",
        "storage_path": key,
        "uploaded_at": "2026-03-01T10:00:00+00:00",
    }
    async with unit_of_work(workshop.sessions) as session:
        row = await session.get_one(Run, run.id)
        row.artifacts = [*row.artifacts, dict(entry)]
        row.state = {
            **row.state,
            "pending_user_artifact_ids": [*row.state.get("pending_user_artifact_ids", []), artifact_id],
        }
    return entry


async def test_agent_finds_attached_files_and_they_stay_out_of_commits(
    workshop: Workshop, repositories: Repositories
) -> None:
    repositories.create("acme/app", {"README.md": "Acme\n"})
    run = await workshop.queued_run(
        "```sh\ncat .taskbeacon/attachments/*/* > seen.txt\ngit add --all\n```", repository="acme/app"
    )
    await attach(workshop, run, name="é notes.txt", content=b"from a person\n")

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.status == RunStatus.COMPLETED, ended.error_message
    assert ended.output is not None
    assert ended.output["files_changed"] == ["seen.txt"]
    branch = ended.output["head_branch"]
    assert repositories.show("acme/app", f"{branch}:seen.txt") == "from a person\n"


async def test_attached_file_is_kept_for_thirty_days_even_if_the_request_could_not_say_so(
    workshop: Workshop,
) -> None:
    run = await workshop.queued_run("```say\nhi\n```")
    artifact = await attach(workshop, run, name="a.txt", content=b"a")

    await execute_run(workshop.arq_context, run_id=str(run.id))

    url = await workshop.context.process.store.urls.of(artifact["storage_path"])
    async with socket_client() as client:
        answer = await client.get(url)
    # How SeaweedFS shows tags.
    assert answer.headers["x-amz-tagging-ttl_days"] == "30"


async def test_lost_attachment_fails_the_run_and_names_the_file(workshop: Workshop) -> None:
    run = await workshop.queued_run("```say\nhi\n```")
    await attach(workshop, run, name="gone.txt", content=None)

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.status == RunStatus.FAILED
    assert ended.error_message == "The attached file gone.txt does not exist any more."
    assert "agent_started_at" not in ended.facts


@pytest.mark.parametrize("ids", [None, "text", [1, None, "unknown"], {"a": 1}])
async def test_ids_that_clients_wrote_into_the_state_are_not_attached(
    workshop: Workshop, ids: object
) -> None:
    run = await workshop.queued_run(
        "```sh\nls .taskbeacon/attachments | wc -l\n```", state={"pending_user_artifact_ids": ids}
    )

    await execute_run(workshop.arq_context, run_id=str(run.id))

    assert (await workshop.read(run)).status == RunStatus.COMPLETED


LEAVE_FILES = """
```sh
cd .taskbeacon/artifacts
printf '{}' > report.json
printf '# Hi' > notes.md
mkdir -p deep/er && printf 'x' > deep/er/picture.png
printf 'y' > "$(printf 'odd\\377name')"
ln -s /etc/passwd passwd.txt
ln -s /etc etc
mkfifo pipe
truncate -s 31457281 large.bin
```
"""


async def test_files_that_the_agent_leaves_become_artifacts_with_their_types(workshop: Workshop) -> None:
    run = await workshop.queued_run(LEAVE_FILES)

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.status == RunStatus.COMPLETED, ended.error_message
    left = {artifact["name"]: artifact for artifact in ended.artifacts}
    assert {name: artifact["content_type"] for name, artifact in left.items()} == {
        "report.json": "application/json",
        "notes.md": "text/markdown",
        "picture.png": "image/png",
        "odd\ufffdname": "application/octet-stream",
    }
    assert {(artifact["type"], artifact["source"]) for artifact in left.values()} == {("artifact", "agent")}
    assert {(each["uploaded_by"], each["uploaded_by_user_id"]) for each in left.values()} == {("agent", None)}
    assert await workshop.stored(left["notes.md"]["storage_path"]) == "# Hi"
    assert left["notes.md"]["size"] == 4
    log = await workshop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)
    for name in ("passwd.txt", "etc", "pipe", "large.bin"):
        assert f"{name} (" in log


async def test_files_of_a_failed_run_become_artifacts_too(workshop: Workshop) -> None:
    run = await workshop.queued_run("```sh\nprintf a > .taskbeacon/artifacts/a.txt; exit 1\n```")

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.status == RunStatus.FAILED
    assert [artifact["name"] for artifact in ended.artifacts] == ["a.txt"]


async def test_folder_replaced_by_a_link_gives_nothing_away(workshop: Workshop) -> None:
    run = await workshop.queued_run(
        "```sh\nrmdir .taskbeacon/artifacts && ln -s /etc .taskbeacon/artifacts\n```"
    )

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert (ended.status, ended.artifacts) == (RunStatus.COMPLETED, [])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        yield disk


def test_artifact_that_does_not_fit_is_an_error_and_no_part_of_it_stays(tmp_path: Path, disk: Path) -> None:
    artifacts = tmp_path / "work" / ".taskbeacon" / "artifacts"
    artifacts.mkdir(parents=True)
    (artifacts / "large.bin").write_bytes(bytes(5 * 2**20))
    with pytest.raises(OSError, match="No space left"):
        take_artifacts(tmp_path / "work", disk, str)
    assert list(disk.iterdir()) == []


async def test_run_fails_in_words_where_there_is_no_room_to_begin(workshop: Workshop, disk: Path) -> None:
    fill(disk / "ballast")
    run = await perform(workshop, disk, "```say\nhi\n```")
    assert run == (RunStatus.FAILED, f"{FULL} The end of the run's log could not be stored.")


async def test_failure_of_the_agent_is_reported_though_the_disk_has_no_room_for_its_work(
    workshop: Workshop, disk: Path
) -> None:
    ballast = "head -c 9000000 /dev/zero > ballast"
    status, message = await perform(
        workshop, disk, f"```sh\n{ballast} 2>/dev/null || :\necho enough\nexit 3\n```"
    )
    assert status == RunStatus.FAILED
    assert "status 3" in message, message


async def perform(workshop: Workshop, disk: Path, description: str) -> tuple[str, str]:
    """Perform a run with its workspace on this disk; return how it ended."""
    run = await workshop.queued_run(description)
    settings = workshop.context.process.settings.model_copy(update={"workspaces": disk / "workspaces"})
    (disk / "workspaces").mkdir()
    await execute_run(workshop.with_process(settings=settings).arq_context, run_id=str(run.id))
    ended = await workshop.read(run)
    return ended.status, ended.error_message or ""

"""One run from its job to its end: real agent process, real sandbox, real git, real object store."""

import asyncio
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from sqlalchemy import update
from typing_extensions import override

from app.agents.workspace.folders import FolderRemover, reclaim
from app.clients.job_queue import JobQueue
from app.clients.storage.storage_keys import RunRef
from app.clock import utcnow
from app.db import unit_of_work
from app.enums import RunStatus
from app.models import Run
from app.worker.jobs.execute_run import execute_run
from tests.fixtures.worker import Repositories, Workshop
from tests.support.stand_ins.outage import behind, interruptible
from tests.support.waiting import eventually

SAY_HELLO = """Say hello.

```file path=hello.txt
Hello
```

```sh
cat README.md
```

```say
Said hello.
```
"""

SCHEMA = {"type": "object", "required": ["answer"], "properties": {"answer": {"type": "integer"}}}


async def test_run_ends_completed_with_output_patch_and_pushed_branch(
    workshop: Workshop, repositories: Repositories
) -> None:
    repositories.create("acme/app", {"README.md": "Acme\n"})
    run = await workshop.queued_run(SAY_HELLO, repository="acme/app")

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.status == RunStatus.COMPLETED, ended.error_message
    assert ended.completed_at is not None
    assert ended.error_message is None
    assert (ended.lease_owner, ended.lease_expires_at, ended.attempts) == (None, None, 1)
    branch = f"taskbeacon/tes-0-{run.id.hex[-8:]}"
    assert ended.output == {
        "head_branch": branch,
        "head_sha": repositories.show("acme/app", branch).split()[1],
        "summary": "Said hello.",
        "files_changed": ["hello.txt"],
    }
    assert repositories.show("acme/app", f"{branch}:hello.txt") == "Hello\n"
    assert sorted(repositories.branches("acme/app")) == ["main", branch]
    [patch] = ended.artifacts
    assert patch["name"] == "changes.patch"
    assert "+Hello" in await workshop.stored(patch["storage_path"])
    assert patch["size"] == len(await workshop.stored(patch["storage_path"]))


async def test_run_that_cannot_be_read_fails(workshop: Workshop) -> None:
    """Such a run would fail at any other worker too, so it is neither repeated nor left to its lease."""
    run = await workshop.queued_run("```say\nhi\n```")
    async with unit_of_work(workshop.sessions) as session:
        await session.execute(update(Run).where(Run.id == run.id).values(artifacts=[{}]))

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert (ended.status, ended.lease_owner) == (RunStatus.FAILED, None)
    assert ended.error_message == (
        "The worker met an unexpected error while performing this run. Its log has the details."
    )


async def test_tasks_copy_of_the_status_follows_the_run(workshop: Workshop) -> None:
    run = await workshop.queued_run("```say\nhi\n```")

    await execute_run(workshop.arq_context, run_id=str(run.id))

    task = await workshop.task_of(run)
    assert (task.latest_run_id, task.latest_run_status) == (run.id, RunStatus.COMPLETED)


async def test_log_holds_the_agents_updates_without_message_chunks(workshop: Workshop) -> None:
    run = await workshop.queued_run(SAY_HELLO.replace("README.md", "hello.txt"))

    await execute_run(workshop.arq_context, run_id=str(run.id))

    text = await workshop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)
    entries = [orjson.loads(line) for line in text.splitlines()]
    assert {entry["type"] for entry in entries} == {"notification"}
    kinds = [
        entry["notification"]["params"]["update"]["sessionUpdate"]
        for entry in entries
        if entry["notification"]["method"] == "session/update"
    ]
    assert {"tool_call", "tool_call_update", "agent_message"} <= set(kinds)
    assert "agent_message_chunk" not in kinds


async def test_run_without_repository_works_in_an_empty_one(workshop: Workshop) -> None:
    run = await workshop.queued_run(SAY_HELLO.replace("cat README.md", "ls"))

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.status == RunStatus.COMPLETED, ended.error_message
    assert ended.output is not None
    assert ended.output["head_branch"] is None
    assert ended.output["files_changed"] == ["hello.txt"]
    log = await workshop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)
    assert "Starting with an empty repository" in log


async def test_failing_step_fails_the_run_with_its_last_lines_and_keeps_the_patch(workshop: Workshop) -> None:
    run = await workshop.queued_run(
        "```file path=a.txt\none\n```\n```sh\necho 'disk is on fire' >&2; exit 3\n```"
    )

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.status == RunStatus.FAILED
    assert "disk is on fire" in (ended.error_message or "")
    assert ended.output is None
    assert [artifact["name"] for artifact in ended.artifacts] == ["changes.patch"]


async def test_missing_repository_fails_the_run_and_names_it(workshop: Workshop) -> None:
    run = await workshop.queued_run("```say\nhi\n```", repository="acme/nothing")

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.status == RunStatus.FAILED
    assert "acme/nothing" in (ended.error_message or "")


@pytest.mark.parametrize("repository", ["../secrets", "acme/..", "-u/x", "acme/.git"])
async def test_repository_name_cannot_leave_the_base_url(workshop: Workshop, repository: str) -> None:
    run = await workshop.queued_run("```say\nhi\n```", repository=repository)

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert (ended.status, ended.error_message) == (
        RunStatus.FAILED,
        f"The repository {repository} does not exist.",
    )


async def test_structured_output_is_the_output(workshop: Workshop) -> None:
    run = await workshop.queued_run('```json output\n{"answer": 42}\n```', json_schema=SCHEMA)

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert (ended.status, ended.output) == (RunStatus.COMPLETED, {"answer": 42}), ended.error_message


@pytest.mark.parametrize("steps", ['```json output\n{"answer": "many"}\n```', "```say\nhi\n```"])
async def test_output_that_does_not_match_the_schema_fails_the_run(workshop: Workshop, steps: str) -> None:
    run = await workshop.queued_run(steps, json_schema=SCHEMA)

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert (ended.status, ended.output) == (RunStatus.FAILED, None)
    assert "output" in (ended.error_message or "").lower()


async def test_pending_message_is_part_of_the_prompt(workshop: Workshop) -> None:
    message = "```say\nfrom the message\n```"
    run = await workshop.queued_run("Prose only.", state={"pending_user_message": message})

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.output is not None
    assert ended.output["summary"] == "from the message"


async def test_agent_that_is_not_installed_fails_the_run_with_how_to_install_it(workshop: Workshop) -> None:
    run = await workshop.queued_run("Hello", state={"runtime_adapter": "codex", "model": "gpt-5"})
    workshop.context.environment.pop("PATH", None)  # type: ignore[attr-defined] # this worker has no agents

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.status == RunStatus.FAILED
    assert "npm install" in (ended.error_message or "")


@pytest.mark.walls
@pytest.mark.parametrize("value", [5, ["x"], {"x": 1}, True, "m" * 5000], ids=str)
async def test_invalid_options_and_messages_count_as_absent(workshop: Workshop, value: object) -> None:
    """Clients write to the state; a claim that failed over it would block all runs of the project behind it."""
    options = dict.fromkeys(
        ("runtime_adapter", "model", "reasoning_effort", "initial_permission_mode"), value
    )
    message = {} if isinstance(value, str) else {"pending_user_message": value}
    run = await workshop.queued_run("```say\nhi\n```", state={"mode": "background", **options, **message})

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert (ended.status, ended.error_message) == (RunStatus.COMPLETED, None)


async def test_state_says_what_of_the_work_was_left_out(workshop: Workshop) -> None:
    run = await workshop.queued_run("```sh\nmkfifo pipe; echo x > x\n```")

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.status == RunStatus.COMPLETED
    assert ended.facts["left_out"] == "Named pipes stay behind: ./pipe"


async def test_run_with_an_unreadable_row_fails_and_delays_no_other(workshop: Workshop) -> None:
    state = {"mode": "background", "pending_user_artifact_ids": ["1"]}
    damaged = await workshop.queued_run("```say\nhi\n```", state=state)
    async with unit_of_work(workshop.sessions) as session:
        no_ids = update(Run).where(Run.id == damaged.id).values(artifacts=[{"name": "without id"}])
        await session.execute(no_ids)
    behind = await workshop.queued_run("```say\nhi\n```")

    for _ in range(2):
        await execute_run(workshop.arq_context, run_id=str(behind.id))

    ended = await workshop.read(damaged)
    assert (ended.status, ended.lease_owner, ended.attempts) == (RunStatus.FAILED, None, 1)
    assert "unexpected error" in (ended.error_message or "")
    assert (await workshop.read(behind)).status == RunStatus.COMPLETED


async def test_second_copy_of_the_job_stops_at_the_claim(workshop: Workshop) -> None:
    run = await workshop.queued_run("```say\nhi\n```")

    await asyncio.gather(*(execute_run(workshop.arq_context, run_id=str(run.id)) for _ in range(3)))

    ended = await workshop.read(run)
    assert (ended.status, ended.attempts) == (RunStatus.COMPLETED, 1)


async def test_workspace_is_gone_afterwards(workshop: Workshop) -> None:
    run = await workshop.queued_run("```sh\nmkdir -p a/b; touch a/b/c; chmod -w a/b a\n```")

    await execute_run(workshop.arq_context, run_id=str(run.id))

    assert (await workshop.read(run)).status == RunStatus.COMPLETED
    assert await workshop.left_behind() == []


class LateRemover(FolderRemover):
    """Removes folders when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[tuple[Path, int]] = []

    @override
    def remove(self, folder: Path, lock: int) -> None:
        self._held.append((folder, lock))

    def let_go(self) -> None:
        for folder, lock in self._held:
            super().remove(folder, lock)


async def test_end_of_a_run_does_not_wait_for_the_removal_of_its_files(workshop: Workshop) -> None:
    """A run stayed `in_progress`, with its slot, until `rm` had removed its files: four minutes for 90,000 of them."""
    remover = LateRemover()
    workshop = replace(workshop, context=replace(workshop.context, remover=remover))
    run = await workshop.queued_run("```say\nDone.\n```")

    job = asyncio.create_task(execute_run(workshop.arq_context, run_id=str(run.id)))
    try:
        await eventually(job.done)
        assert (await workshop.read(run)).status == RunStatus.COMPLETED
        root = workshop.context.process.settings.workspaces_path
        assert len(list(root.glob(f"{run.id}-*.lock"))) == 2
        assert await reclaim(root) == 0
    finally:
        remover.let_go()
        await job

    assert await workshop.left_behind() == []


async def test_worker_that_is_stopped_gives_the_run_back(workshop: Workshop) -> None:
    run = await workshop.queued_run("```sh\nsleep 60\n```")
    job = asyncio.create_task(execute_run(workshop.arq_context, run_id=str(run.id)))

    async def agent_started() -> bool:
        return "agent_started_at" in (await workshop.read(run)).facts

    await eventually(agent_started)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job

    returned = await workshop.read(run)
    assert (returned.status, returned.lease_owner) == (RunStatus.QUEUED, None)
    assert "agent_started_at" not in returned.facts
    assert await workshop.left_behind() == []


async def test_run_that_ended_meanwhile_keeps_its_end(workshop: Workshop) -> None:
    run = await workshop.queued_run("```say\nhi\n```")
    async with unit_of_work(workshop.sessions) as session:
        row = await session.get_one(type(run), run.id)
        row.status, row.completed_at = RunStatus.CANCELLED, utcnow()

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert (ended.status, ended.attempts, ended.output) == (RunStatus.CANCELLED, 0, None)


async def test_run_that_fails_with_a_nul_in_its_words_ends_failed(workshop: Workshop) -> None:
    run = await workshop.queued_run("```sh\nprintf 'a\\000b'; exit 3\n```")

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.status == RunStatus.FAILED
    assert ended.error_message is not None
    assert "a\ufffdb" in ended.error_message


async def test_run_is_handed_back_if_its_worker_is_stopped_before_the_claim_returns(
    workshop: Workshop,
) -> None:
    """Regression: it waited for its lease, and counted as one that had lost its worker."""
    run = await workshop.queued_run("```say\nhi\n```")
    redis_url = workshop.context.process.settings.redis_url

    async def is_claimed() -> bool:
        return (await workshop.read(run)).status == RunStatus.IN_PROGRESS

    async with interruptible(redis_url) as between:
        await between.hang()
        queue = JobQueue(behind(between, redis_url))
        stopped = workshop.with_process(queue=queue)
        job = asyncio.create_task(execute_run(stopped.arq_context, run_id=str(run.id)))
        await eventually(is_claimed)
        job.cancel()
        await between.refuse()
        with pytest.raises(asyncio.CancelledError):
            await job
        await queue.aclose()

    returned = await workshop.read(run)
    assert (returned.status, returned.attempts) == (RunStatus.QUEUED, 1)
    assert returned.facts["recovery"].items() >= {"reason": "worker stopped", "losses": 0}.items()

"""Runs with a fault that is no failure of the agent: what the agent did is kept."""

from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from app.agents.errors import AgentStopped, DiskFull, UnexpectedError
from app.agents.execution.run_context import RunEffects
from app.agents.execution.run_steps import perform
from app.agents.workspace.kept_session import unpack
from app.outages import DatabaseUnavailable
from tests.agents.conftest import GitFolder, NoCommands, Runner, eventually, remembering_adapter
from tests.support.deployment.small_disk import small_disk


class FaultyCommands(NoCommands):
    """Commands of a run that fail with an error: their end, or the waiting for new ones once the agent is at work."""

    def __init__(self, error: Exception, *, once: Path | None = None) -> None:
        self._error = error
        self._once = once

    @override
    async def news(self) -> None:
        folder = self._once
        if folder is None:
            await super().news()
        else:
            await eventually(lambda: any(folder.glob("*/work/.taskbeacon/artifacts/report.txt")))
            raise self._error

    @override
    async def close(self) -> bool:
        raise self._error


@pytest.mark.parametrize("place", ["in the conversation", "beside it"])
@pytest.mark.parametrize(
    ("error", "kind"),
    [(ConnectionError("planted"), UnexpectedError), (AgentStopped("The run was stopped."), AgentStopped)],
)
async def test_work_of_the_agent_is_kept_after_a_fault_of_the_commands(
    runner: Runner, tmp_path: Path, place: str, error: Exception, kind: type[Exception]
) -> None:
    """Regression: patch and artifacts of hours were lost with an error that is no failure of the agent."""
    outbox = tmp_path / "outbox"
    outbox.mkdir()
    lasting = "; exec sleep 86400" if place == "beside it" else ""
    outcome = await runner.run(
        f"```sh\necho work > a.txt; printf hi > .taskbeacon/artifacts/report.txt{lasting}\n```",
        commands=FaultyCommands(error, once=runner.context.files.workspaces.root if lasting else None),
        outbox=outbox,
    )

    assert type(outcome.failed) is kind
    assert outcome.failed.partial is not None
    assert outcome.failed.partial.files_changed == ["a.txt"]
    assert b"+work" in outcome.failed.partial.patch
    assert [path.read_text() for path in outbox.glob("*/*")] == ["hi"]


async def test_conversation_with_the_agent_is_kept_after_an_unexpected_fault(
    runner: Runner, tmp_path: Path
) -> None:
    file = tmp_path / "session.json.gz"

    outcome = await runner.run(
        "Begin.",
        adapter=remembering_adapter("load"),
        commands=FaultyCommands(ConnectionError("planted")),
        session_file=file,
    )

    assert isinstance(outcome.failed, UnexpectedError)
    assert unpack(file.read_bytes()) is not None


async def test_outage_of_the_database_is_no_end_of_a_run(runner: Runner) -> None:
    with pytest.raises(DatabaseUnavailable):
        await runner.run("```say\nhi\n```", commands=FaultyCommands(DatabaseUnavailable()))


async def test_work_is_kept_after_an_unexpected_fault_of_the_push(runner: Runner) -> None:
    async def emit(entry: dict[str, Any]) -> None:
        if entry["notification"]["params"].get("step") == "push":
            raise ValueError("planted")

    with pytest.raises(UnexpectedError) as failed:
        await perform(
            runner.prepare("```sh\necho work > a.txt\n```"), RunEffects(emit=emit, commands=NoCommands())
        )

    assert "planted" not in failed.value.message
    assert failed.value.partial is not None
    assert b"+work" in failed.value.partial.patch


async def test_patch_is_kept_if_the_disk_has_no_room_for_the_artifacts(
    runner: Runner, tmp_path: Path, origin: GitFolder
) -> None:
    """Regression: a run that had succeeded lost its patch as well."""
    with small_disk(tmp_path / "disk", megabytes=4) as outbox:
        outcome = await runner.run(
            "```sh\necho work > a.txt; head -c 5000000 /dev/zero > .taskbeacon/artifacts/large.bin\n```",
            outbox=outbox,
        )

    assert isinstance(outcome.failed, DiskFull)
    assert outcome.failed.partial is not None
    assert b"+work" in outcome.failed.partial.patch
    assert origin.branches() == ["main"]

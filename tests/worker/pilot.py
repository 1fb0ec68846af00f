"""Steers a run in a worker of this process, as a client of the API does."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import select

from app.clients.redis import RedisClient
from app.clients.storage.storage_keys import RunRef
from app.db import unit_of_work
from app.enums import CommandMethod, ServiceMethod
from app.models import Run, RunCommand
from app.schemas.runs.commands import CommandIn, CommandOut
from app.services.access.principal import Principal
from app.services.runs.command_acceptance import send_command
from app.worker.jobs.execute_run import execute_run
from tests.fixtures.worker import Workshop
from tests.support.principals import member_of
from tests.support.waiting import eventually

JSON = dict[str, Any]


@asynccontextmanager
async def listening(workshop: Workshop) -> AsyncGenerator[None, None]:
    """Have the worker of this process woken by changes, as `taskbeacon worker` has."""
    task = asyncio.create_task(workshop.context.changes.listen())

    async def subscribed() -> bool:
        [(_, count)] = await workshop.context.process.redis.pubsub_numsub("taskbeacon:run-changes")
        return bool(count)

    await eventually(subscribed)
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class Pilot:
    """One run, the job that performs it, and the clients that steer it."""

    def __init__(self, workshop: Workshop, run: Run, *, redis: RedisClient | None = None) -> None:
        self.run = run
        self._workshop = workshop
        self._redis = redis or workshop.context.process.redis

    @property
    def url(self) -> str:
        return f"/api/projects/{self.run.project_id}/tasks/{self.run.task_id}/runs/{self.run.id}"

    def start(self) -> asyncio.Task[None]:
        """Have a worker perform the run."""
        return asyncio.create_task(execute_run(self._workshop.arq_context, run_id=str(self.run.id)))

    async def send(self, method: str, params: JSON | None = None, **more: Any) -> CommandOut:
        """Send a command by a caller who sees the run."""
        body = CommandIn.model_validate({"jsonrpc": "2.0", "method": method, "params": params or {}, **more})
        clients = replace(self._workshop.context.process, redis=self._redis)
        async with unit_of_work(self._workshop.sessions) as session:
            return await send_command(session, self.caller(), self.run.task_id, self.run.id, body, clients)

    async def use_queue(self, method: ServiceMethod) -> Any:
        """Show or clear the messages that wait; return their texts."""
        result: Any = (await self.send(method))["result"]
        return {name: result[name] for name in ("steering", "followUp")}

    async def say(self, content: str, *, artifact_ids: Sequence[str] = (), **more: Any) -> CommandOut:
        message = {"content": content, "artifact_ids": list(artifact_ids)}
        return await self.send(CommandMethod.USER_MESSAGE, message, **more)

    async def answer(self, option_id: str, **more: Any) -> CommandOut:
        """Answer what the agent waits for."""
        waiting = (await self.state())["waiting_for"]
        params = {"requestId": waiting["request_id"], "optionId": option_id, **more}
        return await self.send(CommandMethod.PERMISSION_RESPONSE, params)

    async def state(self) -> JSON:
        run = await self._workshop.read(self.run)
        return run.state | run.facts

    async def until_waiting_for(self, kind: str) -> JSON:
        """Return `waiting_for` of the run, as soon as it is set."""

        async def waits() -> bool:
            waiting_for: JSON = (await self.state()).get("waiting_for", {})
            return bool(waiting_for.get("kind") == kind)

        await eventually(waits)
        waiting: JSON = (await self.state())["waiting_for"]
        return waiting

    async def until_agent_started(self) -> None:
        async def started() -> bool:
            return "agent_started_at" in await self.state()

        await eventually(started)

    async def until_logged(self, text: str) -> None:
        """Return once followers got an event that contains this text."""
        redis, key = self._workshop.context.process.redis, f"taskbeacon:run-events:{self.run.id}"

        async def is_published() -> bool:
            return any(text.encode() in fields[b"data"] for _, fields in await redis.xrange(key))

        await eventually(is_published)

    async def reports(self) -> list[tuple[str, ...]]:
        """Return the events about commands and about the run's end that followers got, in order."""
        redis, key = self._workshop.context.process.redis, f"taskbeacon:run-events:{self.run.id}"
        reports: list[tuple[str, ...]] = []
        for _, fields in await redis.xrange(key):
            event = orjson.loads(fields[b"data"])
            if fields[b"kind"] == b"ended":
                reports.append(("ended", event["status"]))
            elif event.get("notification", {}).get("method") == "_taskbeacon/command":
                reports.append(_receipt(event["notification"]["params"]))
        return reports

    async def statuses(self) -> list[str]:
        """Return the progress of each command, in order."""
        columns = select(RunCommand.status).where(RunCommand.run_id == self.run.id)
        async with unit_of_work(self._workshop.sessions) as session:
            return list(await session.scalars(columns.order_by(RunCommand.position)))

    async def log(self, method: str) -> list[JSON]:
        """Return the params of the log's entries of a method, after the end."""
        text = await self._workshop.stored(RunRef(self.run.project_id, self.run.task_id, self.run.id).log_key)
        entries = [orjson.loads(line)["notification"] for line in text.splitlines()]
        return [entry["params"] for entry in entries if entry["method"] == method]

    async def receipts(self) -> list[tuple[str, ...]]:
        """Return method, status and reason of each receipt on the log, after the end."""
        return [_receipt(each) for each in await self.log("_taskbeacon/command")]

    async def said(self) -> list[str]:
        """Return the messages of people and the agent, after the end."""
        updates = [params["update"] for params in await self.log("session/update")]
        return [
            update["content"].get("text") or update["content"]["uri"].rpartition("/")[2]
            for update in updates
            if update["sessionUpdate"] in {"user_message_chunk", "agent_message"}
        ]

    def caller(self) -> Principal:
        """Return one who sees the run, with all scopes."""
        project, owner = self._workshop.project, self._workshop.owner
        return member_of(project, owner)


def _receipt(params: JSON) -> tuple[str, ...]:
    return (params["method"], params["status"], *([params["reason"]] if "reason" in params else []))

"""A question of a live run of the owner's task, its notice, and a worker that delivers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import SessionFactory, unit_of_work
from app.enums import NotificationKind
from app.models import Notification, PushToken, Question, Run, Task, User
from app.runtime import ProcessContext
from app.services.notifications import push_recipients as notifications
from app.services.questions import question_lifecycle
from app.worker.loops import pushes
from app.worker.loops.pushes import release_held
from tests.contract.pushes import rows
from tests.support.clock import MovableClock
from tests.support.devices import notifications_of
from tests.support.questions import make_live_run, make_question
from tests.support.stand_ins.push import PushService

Deliver = Callable[[], Awaitable[int]]
Asks = Callable[..., Awaitable[Question]]


@pytest.fixture
async def run(session: AsyncSession, task: Task) -> Run:
    return await make_live_run(session, task=task)


@pytest.fixture
def settings_of_links() -> dict[str, Any]:
    """The settings that differ from those of other tests."""
    return {"public_url": "https://tasks.example", "task_url": "https://app.example/{project_id}/{task_id}"}


@pytest.fixture
def deliver(process: ProcessContext, settings_of_links: dict[str, Any]) -> Deliver:
    """Let a worker deliver what is due."""
    worker = replace(process, settings=process.settings.model_copy(update=settings_of_links))

    async def deliver() -> int:
        await release_held(worker)
        return await pushes.deliver_due(worker)

    return deliver


@pytest.fixture
def ask(sessions: SessionFactory, session: AsyncSession, task: Task, run: Run, device: PushToken) -> Asks:
    """Let the agent ask, and push that it does."""
    assert device.id

    async def ask(**question: Any) -> Question:
        asked = await make_question(session, task=task, run=run, **question)
        async with unit_of_work(sessions) as own:
            await notifications.notify_people(own, NotificationKind.AWAITING, [run.id], question_id=asked.id)
        return asked

    return ask


@dataclass(frozen=True, slots=True)
class PushScene:
    """The owner's task with a live run, what its agent asks, and what their device gets of it."""

    client: httpx.AsyncClient
    sessions: SessionFactory
    session: AsyncSession
    owner: User
    task: Task
    run: Run
    push_service: PushService
    clock: MovableClock
    ask: Asks
    deliver: Deliver

    @property
    def received(self) -> list[dict[str, Any]]:
        """The messages that the device got."""
        return self.push_service.received

    @property
    def kinds(self) -> list[str | None]:
        """The kind of each message that the device got: "clear" for a retraction."""
        return [message["data"].get("kind") for message in self.received]

    async def answer(self, question: Question, *, by: User | None = None) -> None:
        await rows.answer(self.sessions, question, by or self.owner)

    async def snooze(self, question: Question, *, seconds: int) -> None:
        url = f"/api/projects/{self.task.project_id}/questions/{question.id}/snooze/"
        assert (await self.client.post(url, json={"seconds": seconds})).status_code == 200

    async def withdraw(self) -> None:
        """Withdraw the questions of the run."""
        async with unit_of_work(self.sessions) as session:
            await question_lifecycle.withdraw(session, [self.run.id])

    async def end_run(self) -> None:
        await rows.end_run(self.sessions, self.run)

    async def prefer(self, **values: Any) -> None:
        await rows.prefer(self.session, self.owner, **values)

    async def assert_next_after(self, seconds: int) -> None:
        """Check that the next message is sent after so many seconds, and not one earlier."""
        self.clock.advance(seconds=seconds - 1)
        assert await self.deliver() == 0
        self.clock.advance(seconds=1)
        assert await self.deliver() == 1

    async def assert_last(self) -> None:
        """Check that no message is to come."""
        self.clock.advance(hours=1)
        assert await self.deliver() == 0

    async def row(self) -> Notification:
        return await rows.only_row(self.sessions, self.task)

    async def history(self) -> list[tuple[str, str | None]]:
        return rows.history(await self.row())

    async def histories(self) -> dict[str, list[tuple[str, str | None]]]:
        """Return the history of each notice of the task, by its kind."""
        return {row.kind: rows.history(row) for row in await notifications_of(self.sessions, self.task)}


@pytest.fixture
def scene(
    client: httpx.AsyncClient,
    sessions: SessionFactory,
    session: AsyncSession,
    owner: User,
    task: Task,
    run: Run,
    push_service: PushService,
    clock: MovableClock,
    ask: Asks,
    deliver: Deliver,
) -> PushScene:
    return PushScene(client, sessions, session, owner, task, run, push_service, clock, ask, deliver)

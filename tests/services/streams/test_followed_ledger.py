"""Which events a stream sends: chosen from a shared batch as the caller's own reading (contract 14.1, 15.1)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import product

from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.db import SessionFactory, unit_of_work
from app.enums import EventType, OriginProduct
from app.ids import new_id
from app.models import Project, TaskFollow, User
from app.services.events.event_reading import find_end, read_new_events
from app.services.events.rendering import EventRow
from app.services.streams.ledger_feed import Batch
from app.services.streams.topic_streams import INBOX, TASKS, ledger_of
from tests.support.factories import make_project, make_task, make_user
from tests.support.principals import member_of
from tests.support.waiting import eventually
from tests.support.webhooks import add_event

TYPES = (EventType.TASK_UPDATED, EventType.QUESTION_OPENED)


async def fill(session: AsyncSession, projects: list[Project], people: list[User], outsider: User) -> int:
    """Record events of tasks in every condition that visibility depends on; return their number."""
    count = 0
    conditions = product(
        projects,
        [None, *people],
        (OriginProduct.USER_CREATED, OriginProduct.ONBOARDING),
        (False, True),
        ([], [people[0]], [*people[1:], outsider]),
    )
    for project, creator, origin, is_deleted, followers in conditions:
        task = await make_task(
            session, project=project, created_by=creator, origin_product=origin, deleted=is_deleted
        )
        for user in followers:
            session.add(TaskFollow(user_id=user.id, task_id=task.id, created_at=utcnow()))
        for type_ in TYPES:
            await add_event(
                session, type_, project_id=project.id, task_id=task.id, subject_seq=1, occurred_at=utcnow()
            )
            count += 1
    about_none = [(None, person.id) for person in people]
    for project, (task_id, user_id) in product(projects, [*about_none, (None, None), (new_id(), None)]):
        await add_event(
            session, TYPES[1], project_id=project.id, task_id=task_id, user_id=user_id, occurred_at=utcnow()
        )
        count += 1
    return count


def numbers(rows: Iterable[EventRow]) -> list[int]:
    return [row.seq for row in rows]


async def test_choice_from_a_batch_is_the_reading_of_each_caller(
    sessions: SessionFactory, session: AsyncSession, project: Project, owner: User
) -> None:
    other = await make_project(session)
    member = await make_user(session, projects=[project, other])
    former = await make_user(session, projects=[project, other], is_active=False)
    outsider = await make_user(session)
    async with unit_of_work(sessions) as own:
        start = await find_end(own)
    count = await fill(session, [project, other], [owner, member, former], outsider)
    users = {user.id for user in (owner, member, former, outsider)}
    callers = [
        replace(member_of(named, user), scoped_teams=teams, scoped_organizations=organizations)
        for named in (project, other)
        for user in (owner, member, former, outsider)
        for teams in ((), (other.id,))
        for organizations in ((), (project.organization_id,))
    ]
    sizes = Counter[str]()

    async with unit_of_work(sessions) as own:

        async def are_settled() -> bool:
            return len((await read_new_events(own, start, users)).rows) == count

        await eventually(are_settled)
        batch = Batch.of(await read_new_events(own, start, users), link="")
        for caller, topics in product(callers, ([TASKS], [INBOX], [TASKS, INBOX])):
            ledger = ledger_of(caller, topics)
            read = await ledger.read(own, start, count)
            assert numbers(read) == numbers(event.row for event in ledger.choose(batch))
            sizes[",".join(topics)] += len(read)
        of_others = Batch.of(await read_new_events(own, start, {outsider.id}), link="")
    assert 0 < sizes["inbox"] < sizes["tasks"] < sizes["tasks,inbox"]
    assert not any(ledger_of(caller, [TASKS, INBOX]).choose(of_others) for caller in callers)

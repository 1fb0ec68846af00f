"""Visibility of tasks (contract 4), as a matrix of callers, routes, creators and origins.

Not visible is not found, on every route and never with another status.
"""

from dataclasses import dataclass

import httpx
import pytest
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import override

from app.clock import utcnow
from app.enums import OriginProduct
from app.models import Membership, Project, Run, Task, User
from tests.support.assertions import assert_not_found, assert_page, concerning
from tests.support.callers import Caller, CallerKind
from tests.support.factories import make_project, make_run, make_task, make_user
from tests.support.makers import NewTask
from tests.support.web.routes import GATED_TASK_ROUTES, Route

TEAM_WIDE = {"signal_report", "signals_scout", "onboarding", "hogdesk"}


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("signing_key")]


@dataclass(frozen=True, slots=True)
class Case:
    """A creator and an origin of a task, and a caller; the contract's three rules say whether the caller sees it."""

    caller: CallerKind
    creator: str
    origin: str

    @property
    def rules(self) -> int:
        """The number of the contract's three rules that show the task."""
        is_callers = self.creator == "owner" and self.caller is CallerKind.OWNER
        return sum((is_callers, self.creator == "none", self.origin in TEAM_WIDE))

    @property
    def is_visible(self) -> bool:
        return self.rules > 0

    @override
    def __str__(self) -> str:
        return f"4-{self.caller}-{self.creator}-{self.origin}"


CALLERS = (CallerKind.OWNER, CallerKind.MEMBER, CallerKind.STAFF)
CREATORS = ("owner", "stranger", "none")
# On the remaining routes one private and one shared origin stand for the others, and each rule stands alone.
CASES = [
    case
    for caller in CALLERS
    for creator in CREATORS
    for origin in ("user_created", "signals_scout")
    if (case := Case(caller, creator, origin)).rules <= 1
]


async def task_of(case: Case, session: AsyncSession, project: Project, owner: User) -> Task:
    creator: User | None = owner
    if case.creator == "stranger":
        creator = await make_user(session, projects=[project])
    elif case.creator == "none":
        creator = None
    repository = f"org/{case.origin}".replace("_", "-")
    return await make_task(
        session, project=project, created_by=creator, origin_product=case.origin, repository=repository
    )


@pytest.fixture
async def case_task(case: Case, session: AsyncSession, project: Project, owner: User) -> Task:
    return await task_of(case, session, project, owner)


def with_caller(cases: list[Case]) -> pytest.MarkDecorator:
    parameters = [pytest.param(case, case.caller, id=str(case)) for case in cases]
    return pytest.mark.parametrize(("case", "caller"), parameters, indirect=["caller"])


@pytest.mark.parametrize("creator", CREATORS)
@pytest.mark.parametrize(("kind", "caller"), [(kind, kind) for kind in CALLERS], indirect=["caller"])
async def test_tasks_are_seen_by_those_they_are_for(
    client: httpx.AsyncClient,
    tasks_url: str,
    session: AsyncSession,
    project: Project,
    owner: User,
    kind: CallerKind,
    creator: str,
) -> None:
    """Contract 4: of each origin there is a task."""
    cases = [Case(kind, creator, origin.value) for origin in OriginProduct]
    tasks = {case: await task_of(case, session, project, owner) for case in cases}
    visible = {str(task.id): task for case, task in tasks.items() if case.is_visible}

    for case, task in tasks.items():
        response = await client.get(f"{tasks_url}/{task.id}")
        with concerning(case):
            if case.is_visible:
                assert response.json()["id"] == str(task.id)
            else:
                assert_not_found(response)
    listed = await client.get(tasks_url)
    ids = [str(task.id) for task in tasks.values()]
    summarized = await client.post(f"{tasks_url}/summaries", json={"ids": ids})
    for page in (listed, summarized):
        assert {each["id"] for each in assert_page(page, count=len(visible))} == set(visible)
    repositories = await client.get(f"{tasks_url}/repositories")
    assert repositories.json() == {"repositories": sorted(str(task.repository) for task in visible.values())}


async def ask_each_route(
    client: httpx.AsyncClient, task: Task, run: Run, *, project: Project
) -> list[tuple[Route, httpx.Response]]:
    """Ask each route of a task that the caller does not see, so that each finds it as it is now."""
    answers = []
    for route in GATED_TASK_ROUTES:
        url = route.url(project=project.id, task=task.id, run=run.id)
        answers.append((route, await client.request(route.method, url, json=route.body)))
    return answers


def assert_each_not_found(answers: list[tuple[Route, httpx.Response]]) -> None:
    for route, answer in answers:
        with concerning(route):
            assert_not_found(answer)


# Staff see what every member sees, and no more: what they do not see is asked below.
@with_caller([case for case in CASES if case.is_visible and case.caller is not CallerKind.STAFF])
async def test_caller_that_sees_a_task_may_change_run_and_delete_it(
    client: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    owner: User,
    case: Case,
) -> None:
    for route in GATED_TASK_ROUTES:
        task = await task_of(case, session, project, owner)
        run = await make_run(session, task=task)
        url = route.url(project=project.id, task=task.id, run=run.id)
        answer = await client.request(route.method, url, json=route.body)
        with concerning(route):
            assert answer.status_code == route.status, answer.text


@with_caller([case for case in CASES if not case.is_visible])
async def test_caller_that_does_not_see_a_task_cannot_find_out_that_it_exists(
    client: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    case_task: Task,
) -> None:
    run = await make_run(session, task=case_task)
    answers = await ask_each_route(client, case_task, run, project=project)
    assert_each_not_found(answers)
    row = await session.execute(
        select(Task.description, Task.deleted, Task.latest_run_id).where(Task.id == case_task.id)
    )
    assert row.one() == ("", False, run.id)


async def test_deleted_task_is_not_found_by_its_owner(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, new_task: NewTask
) -> None:
    """Contract 4 rule 2 and 11 #10: its runs are gone too."""
    task = await new_task(deleted=True, deleted_at=utcnow())
    run = await make_run(session, task=task)
    assert_each_not_found(await ask_each_route(client, task, run, project=project))


async def test_task_is_found_only_under_its_own_project(
    client: httpx.AsyncClient,
    session: AsyncSession,
    project: Project,
    caller: Caller,
) -> None:
    """The caller is a member of both projects and created the task (contract 4)."""
    elsewhere = await make_project(session, name="Elsewhere")
    session.add(Membership(user_id=caller.user_id, project_id=elsewhere.id, created_at=utcnow()))
    task = await make_task(session, project=elsewhere, created_by=caller.user)
    run = await make_run(session, task=task)
    assert_each_not_found(await ask_each_route(client, task, run, project=project))


async def test_run_is_found_only_under_its_own_task(
    client: httpx.AsyncClient, new_task: NewTask, run: Run, tasks_url: str
) -> None:
    """Contract 6.4."""
    url = f"{tasks_url}/{(await new_task()).id}/runs"
    assert_not_found(await client.get(f"{url}/{run.id}"))
    assert_page(await client.get(url), count=0)


async def test_internal_and_archived_hide_from_the_list_only(
    client: httpx.AsyncClient, session: AsyncSession, new_task: NewTask, tasks_url: str
) -> None:
    for flags in ({"internal": True}, {"archived": True}, {"internal": True, "archived": True}):
        task = await new_task(**flags)
        run = await make_run(session, task=task)
        with concerning(flags):
            assert_page(await client.get(tasks_url), count=0)
            assert (await client.get(f"{tasks_url}/{task.id}")).status_code == 200
            assert (await client.get(f"{tasks_url}/{task.id}/runs/{run.id}")).status_code == 200
            assert_page(await client.post(f"{tasks_url}/summaries", json={"ids": [str(task.id)]}), count=1)


@pytest.mark.parametrize("caller", [CallerKind.MEMBER, CallerKind.STAFF], indirect=True)
async def test_internal_task_of_another_is_hidden_unless_its_origin_is_shared(
    client: httpx.AsyncClient, new_task: NewTask, tasks_url: str
) -> None:
    for origin, status in (("user_created", 404), ("onboarding", 200)):
        task = await new_task(internal=True, origin_product=origin)
        assert (await client.get(f"{tasks_url}/{task.id}")).status_code == status


@pytest.mark.caller(CallerKind.MEMBER)
async def test_task_of_a_deleted_account_becomes_everyones(
    client: httpx.AsyncClient, session: AsyncSession, owner: User, task: Task, task_url: str
) -> None:
    assert_not_found(await client.get(task_url))
    await session.execute(delete(User).where(User.id == owner.id))
    shown = (await client.get(task_url)).json()
    assert (shown["id"], shown["created_by"]) == (str(task.id), None)


async def test_former_member_loses_sight_of_own_tasks(
    client: httpx.AsyncClient, session: AsyncSession, owner: User, task_url: str
) -> None:
    assert (await client.get(task_url)).status_code == 200
    await session.execute(delete(Membership).where(Membership.user_id == owner.id))
    assert (await client.get(task_url)).status_code == 403

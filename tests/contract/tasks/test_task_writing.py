"""Create, change and delete tasks (contract 5.2 to 5.5, 10)."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import OriginProduct
from app.models import Project, Run, SignalReport, SignalReportTask, Task, User
from tests.support.assertions import assert_invalid, assert_not_found, assert_page, concerning
from tests.support.callers import Caller, CallerKind
from tests.support.clock import MovableClock, wire_time
from tests.support.factories import (
    make_integration,
    make_project,
    make_run,
    make_signal_report,
    make_task,
    make_user_integration,
)
from tests.support.makers import NewTask

Json = dict[str, Any]


class TestCreate:
    async def test_empty_object_takes_every_default(
        self, client: httpx.AsyncClient, tasks_url: str, caller: Caller, clock: MovableClock
    ) -> None:
        response = await client.post(tasks_url, json={})
        assert response.status_code == 201
        body = response.json()
        assert body["created_by"]["id"] == caller.user_id
        now = wire_time(clock)
        assert {key: body[key] for key in body if key not in {"id", "created_by"}} == {
            "task_number": 0,
            "slug": "TES-0",
            "title": "",
            "title_manually_set": False,
            "description": "",
            "origin_product": "user_created",
            "repository": None,
            "github_integration": None,
            "github_user_integration": None,
            "signal_report": None,
            "json_schema": None,
            "internal": False,
            "archived": False,
            "archived_at": None,
            "latest_run": None,
            "created_at": now,
            "updated_at": now,
            "last_activity_at": now,
            "ci_prompt": None,
            "acceptance": None,
        }

    async def test_answer_is_what_retrieve_shows(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        body = {"title": "a", "description": "b", "repository": "O/R", "internal": True, "ci_prompt": "c"}
        created = (await client.post(tasks_url, json=body)).json()
        assert (await client.get(f"{tasks_url}/{created['id']}")).json() == created

    async def test_create_starts_no_run(
        self, client: httpx.AsyncClient, session: AsyncSession, tasks_url: str
    ) -> None:
        await client.post(tasks_url, json={"title": "x"})
        assert await session.scalar(select(func.count(Run.id))) == 0

    async def test_archived_task_is_stamped(
        self, client: httpx.AsyncClient, tasks_url: str, clock: MovableClock
    ) -> None:
        """Contract 11 #5."""
        body = (await client.post(tasks_url, json={"archived": True})).json()
        assert body["archived_at"] == wire_time(clock)

    async def test_creator_is_the_caller_for_any_origin(
        self, client: httpx.AsyncClient, tasks_url: str, caller: Caller
    ) -> None:
        for origin in ("signal_report", "onboarding", "slack"):
            body = (await client.post(tasks_url, json={"origin_product": origin})).json()
            assert body["created_by"]["id"] == caller.user_id


LONG_LINE = "Make the login page remember who was there before, and forget them again"


# What a request says, and the title and its origin that follow (contract 10.2).
TITLES: list[tuple[Json, str, bool]] = [
    ({}, "", False),
    ({"title": "", "description": ""}, "", False),
    ({"title_manually_set": True}, "", True),
    ({"title": "Mine"}, "Mine", True),
    ({"title": "Mine", "title_manually_set": False}, "Mine", False),
    ({"title": "Mine", "description": "x"}, "Mine", True),
    ({"description": "Do it"}, "Do it", False),
    ({"title": "  ", "description": "Do it"}, "Do it", False),
    ({"description": "First\nsecond"}, "First", False),
    ({"description": "\n\n First \nsecond"}, "First", False),
    ({"description": "x" * 60}, "x" * 60, False),
    ({"description": "x" * 61}, "x" * 57 + "...", False),
    ({"description": LONG_LINE}, LONG_LINE[:57] + "...", False),
    ({"description": "ü" * 61}, "ü" * 57 + "...", False),
]


async def test_title_is_given_or_made_from_the_description(client: httpx.AsyncClient, tasks_url: str) -> None:
    for body, title, by_hand in TITLES:
        created = (await client.post(tasks_url, json=body)).json()
        with concerning(body):
            assert (created["title"], created["title_manually_set"]) == (title, by_hand)


# What is given, and what is then stored (contract 5.2).
REPOSITORIES = [
    ("Org/Repo", "org/repo"),
    ("  org/repo ", "org/repo"),
    ("", ""),
    (None, None),
    ("a.b-c_d/e.f-g_h", "a.b-c_d/e.f-g_h"),
]
NO_REPOSITORIES = ("repo", "/", "org/", "/repo", "a/b/c", "org//repo", " / ", "https://x/y")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
class TestRepository:
    @pytest.fixture
    def url(self, method: str, tasks_url: str, task_url: str) -> str:
        return tasks_url if method == "POST" else task_url

    async def test_is_stored_in_lower_case(self, client: httpx.AsyncClient, url: str, method: str) -> None:
        for value, stored in REPOSITORIES:
            response = await client.request(method, url, json={"repository": value})
            with concerning(value):
                assert response.json()["repository"] == stored

    async def test_needs_exactly_one_slash_with_text_around(
        self, client: httpx.AsyncClient, url: str, method: str
    ) -> None:
        detail = "Repository must be in the format organization/repository"
        for value in NO_REPOSITORIES:
            response = await client.request(method, url, json={"repository": value})
            with concerning(value):
                assert_invalid(response, "repository", "invalid_input", detail)

    @pytest.mark.walls
    async def test_is_bounded_in_lower_case_too(
        self, client: httpx.AsyncClient, url: str, method: str
    ) -> None:
        """Some letters become several in lower case."""
        response = await client.request(method, url, json={"repository": "İ" * 128 + "/a"})
        detail = "Ensure this field has no more than 255 characters."
        assert_invalid(response, "repository", "max_length", detail)
        taken = await client.request(method, url, json={"repository": "İ" * 126 + "/a"})
        assert taken.is_success


class TestReferences:
    """References of a task must exist and belong to the project or the caller (contract 5.2)."""

    async def test_own_ones_are_taken(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        tasks_url: str,
        task_url: str,
    ) -> None:
        integration = await make_integration(session, project=project)
        linked = await make_user_integration(session, user=owner)
        body = {"github_integration": integration.id, "github_user_integration": str(linked.id)}
        for answer in (await client.post(tasks_url, json=body), await client.patch(task_url, json=body)):
            shown = answer.json()
            assert {key: shown[key] for key in body} == body

    async def test_foreign_ones_are_refused(
        self, client: httpx.AsyncClient, session: AsyncSession, colleague: User, tasks_url: str, task_url: str
    ) -> None:
        elsewhere = await make_project(session)
        integration = await make_integration(session, project=elsewhere)
        linked = await make_user_integration(session, user=colleague)
        report = await make_signal_report(session, project=elsewhere)
        for field, value, detail in (
            ("github_integration", integration.id, "Integration must belong to the same team"),
            ("github_user_integration", linked.id, "User integration must belong to the authenticated user"),
            ("signal_report", report.id, "Signal report must belong to the same team"),
        ):
            for method, url in (("POST", tasks_url), ("PATCH", task_url)):
                response = await client.request(method, url, json={field: str(value)})
                with concerning(f"{method} {field}"):
                    assert_invalid(response, field, "invalid_input", detail)

    async def test_first_github_integration_is_the_default(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, tasks_url: str
    ) -> None:
        await make_integration(session, project=await make_project(session))
        first, _ = [await make_integration(session, project=project) for _ in range(2)]
        for body in ({}, {"github_integration": None}, {"github_integration": ""}):
            assert (await client.post(tasks_url, json=body)).json()["github_integration"] == first.id

    async def test_default_is_not_applied_again_on_update(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, tasks_url: str
    ) -> None:
        """Contract 5.4."""
        await make_integration(session, project=project)
        created = (await client.post(tasks_url, json={})).json()
        url = f"{tasks_url}/{created['id']}"
        for body in ({"github_integration": None}, {"title": "x"}):
            assert (await client.patch(url, json=body)).json()["github_integration"] is None


class TestSignalReport:
    @pytest.fixture
    async def report(self, session: AsyncSession, project: Project) -> SignalReport:
        return await make_signal_report(session, project=project)

    async def links(self, session: AsyncSession) -> list[tuple[Any, ...]]:
        columns = (SignalReportTask.report_id, SignalReportTask.task_id, SignalReportTask.relationship)
        return [tuple(row) for row in await session.execute(select(*columns))]

    @pytest.mark.parametrize("more", [{}, {"signal_report_task_relationship": "implementation"}])
    async def test_task_of_a_report_is_linked_to_it(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        tasks_url: str,
        report: SignalReport,
        more: Json,
    ) -> None:
        body = {"origin_product": "signal_report", "signal_report": str(report.id), **more}
        created = (await client.post(tasks_url, json=body)).json()
        assert "signal_report_task_relationship" not in created
        assert await self.links(session) == [(report.id, UUID(created["id"]), "implementation")]

    async def test_task_of_another_origin_is_not_linked(
        self, client: httpx.AsyncClient, session: AsyncSession, tasks_url: str, report: SignalReport
    ) -> None:
        response = await client.post(tasks_url, json={"signal_report": str(report.id)})
        assert response.json()["signal_report"] == str(report.id)
        assert await self.links(session) == []

    async def test_relationship_needs_report_and_origin(
        self, client: httpx.AsyncClient, tasks_url: str, report: SignalReport
    ) -> None:
        field = "signal_report_task_relationship"
        for more, needed in (
            ({"origin_product": "signal_report"}, "signal_report"),
            ({"signal_report": str(report.id)}, "origin_product signal_report"),
        ):
            response = await client.post(tasks_url, json={field: "implementation", **more})
            assert_invalid(response, field, "invalid_input", f"Requires {needed} when set.")

    async def test_report_tasks_use_the_teams_integration(
        self, client: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str
    ) -> None:
        own = {"github_user_integration": str((await make_user_integration(session, user=owner)).id)}
        new = {"origin_product": "signal_report", "title": "Before"}
        made = (await client.post(tasks_url, json=new)).json()
        url = f"{tasks_url}/{made['id']}"
        for answer in (
            await client.post(tasks_url, json=new | own),
            await client.patch(url, json={"title": "After", **own}),
        ):
            detail = "Signal report tasks use the team GitHub integration."
            assert_invalid(answer, "github_user_integration", "invalid_input", detail)
        assert (await client.get(url)).json() == made

    async def test_refused_task_leaves_neither_number_nor_link(
        self, client: httpx.AsyncClient, session: AsyncSession, tasks_url: str, report: SignalReport
    ) -> None:
        body = {
            "origin_product": "signal_report",
            "signal_report": str(report.id),
            "github_integration": 999_999,
        }
        assert (await client.post(tasks_url, json=body)).status_code == 400
        assert await self.links(session) == []
        assert (await client.post(tasks_url, json={})).json()["task_number"] == 0


# Contract 10.1.
PREFIXES = [
    *(("Test Team", "TES"), ("ABC Def", "ABC"), ("PostHog", "POS"), ("My Big Company", "MBC"), ("A", "A")),
    *(("!!!", "TSK"), ("", "TSK"), ("a-b-c-d", "ABC"), ("42 things", "42T"), ("ABCDE", "ABC")),
]


class TestNumbers:
    """Contract 10.1."""

    async def test_first_is_zero_and_none_is_used_again(
        self, client: httpx.AsyncClient, new_task: NewTask, colleague: User, tasks_url: str
    ) -> None:
        """Neither that of a deleted task, nor that of a task that the caller does not see."""
        made = [(await client.post(tasks_url, json={})).json() for _ in range(3)]
        assert [task["slug"] for task in made] == ["TES-0", "TES-1", "TES-2"]
        assert (await client.delete(f"{tasks_url}/{made[-1]['id']}")).status_code == 204
        await new_task(colleague)
        assert (await client.post(tasks_url, json={})).json()["task_number"] == 4

    async def test_projects_count_for_themselves(
        self, client: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str
    ) -> None:
        await make_task(session, project=await make_project(session), created_by=owner)
        assert (await client.post(tasks_url, json={})).json()["task_number"] == 0

    async def test_prefix_follows_the_projects_name(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, task_url: str
    ) -> None:
        """Computed on read: renaming the project changes all slugs."""
        for name, prefix in PREFIXES:
            await session.execute(update(Project).where(Project.id == project.id).values(name=name))
            with concerning(name):
                assert (await client.get(task_url)).json()["slug"] == f"{prefix}-0"


CHANGES: list[Json] = [
    {"title": "x", "title_manually_set": True},
    {"title": "", "title_manually_set": False},
    {"description": "x"},
    {"repository": "o/r"},
    *({"json_schema": schema} for schema in ({"type": "object"}, None)),
    {"internal": True},
    *({"ci_prompt": prompt} for prompt in ("x", "", None)),
]


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
class TestUpdate:
    async def test_only_given_fields_change(
        self, client: httpx.AsyncClient, task: Task, task_url: str, clock: MovableClock, method: str
    ) -> None:
        clock.now = task.updated_at + timedelta(hours=1)
        before = (await client.get(task_url)).json()
        after = (await client.request(method, task_url, json={"description": "new"})).json()
        now = wire_time(clock)
        assert after == before | {"description": "new", "updated_at": now, "last_activity_at": now}

    async def test_empty_object_moves_updated_at(
        self, client: httpx.AsyncClient, task: Task, task_url: str, method: str, clock: MovableClock
    ) -> None:
        clock.now = task.updated_at + timedelta(hours=1)
        before = (await client.get(task_url)).json()
        shown = (await client.request(method, task_url, json={})).json()
        assert shown == before | {"updated_at": wire_time(clock)}
        assert (await client.get(task_url)).json() == shown

    async def test_fields_that_may_change(
        self, client: httpx.AsyncClient, task_url: str, method: str
    ) -> None:
        for change in CHANGES:
            shown = (await client.request(method, task_url, json=change)).json()
            with concerning(change):
                assert {key: shown[key] for key in change} == change
                assert (await client.get(task_url)).json() == shown

    async def test_title_counts_as_set_by_hand_unless_the_request_says_otherwise(
        self, client: httpx.AsyncClient, tasks_url: str, method: str
    ) -> None:
        created = (await client.post(tasks_url, json={"description": "Generated"})).json()
        assert created["title_manually_set"] is False
        url = f"{tasks_url}/{created['id']}"
        for more, by_hand in (({}, True), ({"title_manually_set": False}, False)):
            shown = (await client.request(method, url, json={"title": "Mine", **more})).json()
            assert shown["title_manually_set"] is by_hand

    async def test_title_is_not_generated_again(
        self, client: httpx.AsyncClient, task_url: str, method: str
    ) -> None:
        shown = (await client.request(method, task_url, json={"title": "", "description": "Do it"})).json()
        assert shown["title"] == ""

    async def test_origin_and_report_stay_as_they_were_created(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, task_url: str, method: str
    ) -> None:
        """Contract 11 #31: origin decides who sees the task."""
        report = await make_signal_report(session, project=project)
        body = {
            "origin_product": "onboarding",
            "signal_report": str(report.id),
            "signal_report_task_relationship": "implementation",
        }
        response = await client.request(method, task_url, json=body)
        assert response.status_code == 200
        shown = response.json()
        assert (shown["origin_product"], shown["signal_report"]) == ("user_created", None)

    async def test_archiving_is_stamped_once_and_cleared(
        self, client: httpx.AsyncClient, task_url: str, clock: MovableClock, method: str
    ) -> None:
        """Contract 5.4."""

        async def archive(*, archived: bool) -> str | None:
            shown = (await client.request(method, task_url, json={"archived": archived})).json()
            stamp: str | None = shown["archived_at"]
            return stamp

        first = await archive(archived=True)
        assert first == wire_time(clock)
        clock.advance(hours=1)
        assert await archive(archived=True) == first
        assert await archive(archived=False) is None
        clock.advance(hours=1)
        assert await archive(archived=True) == wire_time(clock)

    @pytest.mark.caller(CallerKind.MEMBER)
    async def test_shared_task_may_be_changed_by_any_member_and_keeps_its_creator(
        self, client: httpx.AsyncClient, new_task: NewTask, owner: User, tasks_url: str, method: str
    ) -> None:
        shared = await new_task(origin_product=OriginProduct.HOGDESK)
        shown = (await client.request(method, f"{tasks_url}/{shared.id}", json={"title": "ours"})).json()
        assert (shown["title"], shown["created_by"]["id"]) == ("ours", owner.id)

    async def test_latest_run_is_shown(
        self, client: httpx.AsyncClient, task_url: str, run: Run, method: str
    ) -> None:
        shown = (await client.request(method, task_url, json={})).json()
        assert shown["latest_run"]["id"] == str(run.id)


class TestDelete:
    async def test_hides_the_task_and_keeps_its_runs(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        task: Task,
        run: Run,
        task_url: str,
        clock: MovableClock,
    ) -> None:
        """Contract 5.5: a running workflow is not cancelled."""
        assert (await client.delete(task_url)).status_code == 204
        stored = await session.execute(select(Task.deleted, Task.deleted_at).where(Task.id == task.id))
        assert stored.one() == (True, clock.now)
        assert await session.scalar(select(Run.status).where(Run.id == run.id)) == run.status
        assert_not_found(await client.delete(task_url))

    async def test_lists_omit_the_task(
        self, client: httpx.AsyncClient, session: AsyncSession, new_task: NewTask, tasks_url: str
    ) -> None:
        task = await new_task(repository="org/repo")
        await make_run(session, task=task)
        assert (await client.delete(f"{tasks_url}/{task.id}")).status_code == 204
        assert_page(await client.get(tasks_url), count=0)
        assert_page(await client.post(f"{tasks_url}/summaries", json={"ids": [str(task.id)]}), count=0)
        assert (await client.get(f"{tasks_url}/repositories")).json() == {"repositories": []}

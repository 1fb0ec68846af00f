"""Create, change and delete tasks (contract 5.2 to 5.5, 10)."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.enums import OriginProduct
from app.models import Project, Run, SignalReport, SignalReportTask, Task, User
from tests.support.assertions import assert_invalid, assert_not_found, assert_page
from tests.support.callers import Caller, CallerKind
from tests.support.clock import MovableClock
from tests.support.factories import (
    make_integration,
    make_project,
    make_run,
    make_signal_report,
    make_task,
    make_user,
    make_user_integration,
)

Json = dict[str, Any]


class TestCreate:
    async def test_empty_object_takes_every_default(
        self, client: httpx.AsyncClient, tasks_url: str, caller: Caller, clock: MovableClock
    ) -> None:
        response = await client.post(tasks_url, json={})
        assert response.status_code == 201
        body = response.json()
        assert body["created_by"]["id"] == caller.user_id
        now = clock.now.isoformat().replace("+00:00", "Z")
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
            "ci_prompt": None,
        }

    async def test_answer_is_what_retrieve_shows(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        body = {"title": "a", "description": "b", "repository": "O/R", "internal": True, "ci_prompt": "c"}
        created = (await client.post(tasks_url, json=body)).json()
        assert (await client.get(f"{tasks_url}/{created['id']}")).json() == created

    async def test_starts_no_run(
        self, client: httpx.AsyncClient, session: AsyncSession, tasks_url: str
    ) -> None:
        await client.post(tasks_url, json={"title": "x"})
        assert await session.scalar(select(func.count(Run.id))) == 0

    async def test_archived_task_is_stamped(
        self, client: httpx.AsyncClient, tasks_url: str, clock: MovableClock
    ) -> None:
        """Contract 11 #5."""
        body = (await client.post(tasks_url, json={"archived": True})).json()
        assert body["archived_at"] == clock.now.isoformat().replace("+00:00", "Z")

    @pytest.mark.parametrize("origin", ["signal_report", "onboarding", "slack"])
    async def test_creator_is_the_caller_whatever_the_origin(
        self, client: httpx.AsyncClient, tasks_url: str, caller: Caller, origin: str
    ) -> None:
        body = (await client.post(tasks_url, json={"origin_product": origin})).json()
        assert body["created_by"]["id"] == caller.user_id


LONG_LINE = "Make the login page remember who was there before, and forget them again"


class TestTitle:
    """Contract 10.2."""

    @pytest.mark.parametrize(
        ("body", "title", "by_hand"),
        [
            pytest.param({}, "", False, id="10.2-both-blank"),
            pytest.param({"title": "", "description": ""}, "", False, id="10.2-both-empty"),
            pytest.param({"title_manually_set": True}, "", True, id="10.2-both-blank-as-given"),
            pytest.param({"title": "Mine"}, "Mine", True, id="10.2-given"),
            pytest.param(
                {"title": "Mine", "title_manually_set": False}, "Mine", False, id="10.2-given-but-not-by-hand"
            ),
            pytest.param(
                {"title": "Mine", "description": "x"}, "Mine", True, id="10.2-description-is-not-used"
            ),
            pytest.param({"description": "Do it"}, "Do it", False, id="10.2-generated"),
            pytest.param({"title": "  ", "description": "Do it"}, "Do it", False, id="10.2-blank-is-absent"),
            pytest.param({"description": "First\nsecond"}, "First", False, id="10.2-first-line"),
            pytest.param(
                {"description": "\n\n First \nsecond"}, "First", False, id="10.2-first-line-trimmed"
            ),
            pytest.param({"description": "x" * 60}, "x" * 60, False, id="10.2-sixty-characters-stay"),
            pytest.param({"description": "x" * 61}, "x" * 57 + "...", False, id="10.2-sixty-one-are-cut"),
            pytest.param({"description": LONG_LINE}, LONG_LINE[:57] + "...", False, id="10.2-long-line"),
            pytest.param({"description": "ü" * 61}, "ü" * 57 + "...", False, id="10.2-counts-characters"),
        ],
    )
    async def test_is_given_or_made_from_the_description(
        self, client: httpx.AsyncClient, tasks_url: str, body: Json, title: str, by_hand: bool
    ) -> None:
        created = (await client.post(tasks_url, json=body)).json()
        assert (created["title"], created["title_manually_set"]) == (title, by_hand)


class TestRepository:
    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    @pytest.mark.parametrize(
        ("value", "stored"),
        [
            pytest.param("Org/Repo", "org/repo", id="5.2-lower-case"),
            pytest.param("  org/repo ", "org/repo", id="5.2-trimmed"),
            pytest.param("", "", id="5.2-empty-is-kept"),
            pytest.param(None, None, id="5.2-null"),
            pytest.param("a.b-c_d/e.f-g_h", "a.b-c_d/e.f-g_h", id="5.2-punctuation"),
        ],
    )
    async def test_is_stored_in_lower_case(
        self,
        client: httpx.AsyncClient,
        tasks_url: str,
        task_url: str,
        method: str,
        value: str | None,
        stored: str | None,
    ) -> None:
        url = tasks_url if method == "POST" else task_url
        response = await client.request(method, url, json={"repository": value})
        assert response.json()["repository"] == stored

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    @pytest.mark.parametrize(
        "value", ["repo", "/", "org/", "/repo", "a/b/c", "org//repo", " / ", "https://x/y"]
    )
    async def test_needs_exactly_one_slash_with_text_around(
        self, client: httpx.AsyncClient, tasks_url: str, task_url: str, method: str, value: str
    ) -> None:
        url = tasks_url if method == "POST" else task_url
        response = await client.request(method, url, json={"repository": value})
        detail = "Repository must be in the format organization/repository"
        assert_invalid(response, "repository", "invalid_input", detail)

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    async def test_is_bounded_in_lower_case_too(
        self, client: httpx.AsyncClient, tasks_url: str, task_url: str, method: str
    ) -> None:
        """Finding 15: letters that become several in lower case."""
        url = tasks_url if method == "POST" else task_url
        response = await client.request(method, url, json={"repository": "İ" * 128 + "/a"})
        detail = "Ensure this field has no more than 255 characters."
        assert_invalid(response, "repository", "max_length", detail)
        taken = await client.request(method, url, json={"repository": "İ" * 126 + "/a"})
        assert taken.is_success


class TestReferences:
    """What a task points to must exist and belong to the project or the caller (contract 5.2)."""

    @pytest.fixture(params=["POST", "PATCH"])
    def method(self, request: pytest.FixtureRequest) -> str:
        name: str = request.param
        return name

    @pytest.fixture
    def url(self, method: str, tasks_url: str, task_url: str) -> str:
        return tasks_url if method == "POST" else task_url

    async def test_own_ones_are_taken(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        method: str,
        url: str,
    ) -> None:
        integration = await make_integration(session, project=project)
        linked = await make_user_integration(session, user=owner)
        body = {"github_integration": integration.id, "github_user_integration": str(linked.id)}
        shown = (await client.request(method, url, json=body)).json()
        assert {key: shown[key] for key in body} == body

    async def test_foreign_integration_is_refused(
        self, client: httpx.AsyncClient, session: AsyncSession, method: str, url: str
    ) -> None:
        foreign = await make_integration(session, project=await make_project(session))
        response = await client.request(method, url, json={"github_integration": foreign.id})
        detail = "Integration must belong to the same team"
        assert_invalid(response, "github_integration", "invalid_input", detail)

    async def test_user_integration_of_a_colleague_is_refused(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, method: str, url: str
    ) -> None:
        foreign = await make_user_integration(session, user=await make_user(session, projects=[project]))
        response = await client.request(method, url, json={"github_user_integration": str(foreign.id)})
        detail = "User integration must belong to the authenticated user"
        assert_invalid(response, "github_user_integration", "invalid_input", detail)

    async def test_foreign_signal_report_is_refused(
        self, client: httpx.AsyncClient, session: AsyncSession, method: str, url: str
    ) -> None:
        foreign = await make_signal_report(session, project=await make_project(session))
        response = await client.request(method, url, json={"signal_report": str(foreign.id)})
        detail = "Signal report must belong to the same team"
        assert_invalid(response, "signal_report", "invalid_input", detail)

    @pytest.mark.parametrize("body", [{}, {"github_integration": None}, {"github_integration": ""}], ids=repr)
    async def test_first_github_integration_is_the_default(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, tasks_url: str, body: Json
    ) -> None:
        await make_integration(session, project=await make_project(session))
        await make_integration(session, project=project, kind="slack")
        first, _ = [await make_integration(session, project=project) for _ in range(2)]
        assert (await client.post(tasks_url, json=body)).json()["github_integration"] == first.id

    async def test_default_is_not_applied_again_on_update(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, tasks_url: str
    ) -> None:
        """Contract 5.4."""
        await make_integration(session, project=project)
        created = (await client.post(tasks_url, json={})).json()
        url = f"{tasks_url}/{created['id']}"
        assert (await client.patch(url, json={"github_integration": None})).json()[
            "github_integration"
        ] is None
        assert (await client.patch(url, json={"title": "x"})).json()["github_integration"] is None


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
        rows = await self.links(session)
        assert [(str(row[0]), str(row[1]), row[2]) for row in rows] == [
            (str(report.id), created["id"], "implementation")
        ]

    async def test_task_of_another_origin_is_not_linked(
        self, client: httpx.AsyncClient, session: AsyncSession, tasks_url: str, report: SignalReport
    ) -> None:
        response = await client.post(tasks_url, json={"signal_report": str(report.id)})
        assert response.json()["signal_report"] == str(report.id)
        assert await self.links(session) == []

    async def test_relationship_needs_a_report(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        body = {"signal_report_task_relationship": "implementation", "origin_product": "signal_report"}
        response = await client.post(tasks_url, json=body)
        detail = "Requires signal_report when set."
        assert_invalid(response, "signal_report_task_relationship", "invalid_input", detail)

    async def test_relationship_needs_the_origin(
        self, client: httpx.AsyncClient, tasks_url: str, report: SignalReport
    ) -> None:
        body = {"signal_report_task_relationship": "implementation", "signal_report": str(report.id)}
        response = await client.post(tasks_url, json=body)
        detail = "Requires origin_product signal_report when set."
        assert_invalid(response, "signal_report_task_relationship", "invalid_input", detail)

    async def test_report_tasks_use_the_teams_integration(
        self, client: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str
    ) -> None:
        linked = await make_user_integration(session, user=owner)
        body = {"origin_product": "signal_report", "github_user_integration": str(linked.id)}
        response = await client.post(tasks_url, json=body)
        detail = "Signal report tasks use the team GitHub integration."
        assert_invalid(response, "github_user_integration", "invalid_input", detail)

    async def test_report_tasks_go_on_using_the_teams_integration(
        self, client: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str
    ) -> None:
        linked = await make_user_integration(session, user=owner)
        made = await client.post(tasks_url, json={"origin_product": "signal_report", "title": "Before"})
        task_url = f"{tasks_url}/{made.json()['id']}"

        response = await client.patch(
            task_url, json={"title": "After", "github_user_integration": str(linked.id)}
        )

        detail = "Signal report tasks use the team GitHub integration."
        assert_invalid(response, "github_user_integration", "invalid_input", detail)
        assert (await client.get(task_url)).json() == made.json()

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


class TestNumbers:
    """Contract 10.1."""

    async def test_first_is_zero_and_the_next_follows(
        self, client: httpx.AsyncClient, tasks_url: str
    ) -> None:
        slugs = [(await client.post(tasks_url, json={})).json()["slug"] for _ in range(3)]
        assert slugs == ["TES-0", "TES-1", "TES-2"]

    async def test_number_of_a_deleted_task_is_not_used_again(
        self, client: httpx.AsyncClient, tasks_url: str
    ) -> None:
        created = (await client.post(tasks_url, json={})).json()
        assert (await client.delete(f"{tasks_url}/{created['id']}")).status_code == 204
        assert (await client.post(tasks_url, json={})).json()["task_number"] == 1

    async def test_numbers_are_shared_by_those_who_do_not_see_each_others_tasks(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, tasks_url: str
    ) -> None:
        await make_task(session, project=project, created_by=await make_user(session, projects=[project]))
        assert (await client.post(tasks_url, json={})).json()["task_number"] == 1

    async def test_projects_count_for_themselves(
        self, client: httpx.AsyncClient, session: AsyncSession, owner: User, tasks_url: str
    ) -> None:
        elsewhere = await make_project(session)
        await make_task(session, project=elsewhere, created_by=owner)
        assert (await client.post(tasks_url, json={})).json()["task_number"] == 0

    @pytest.mark.parametrize(
        ("name", "prefix"),
        [
            ("Test Team", "TES"),
            ("ABC Def", "ABC"),
            ("PostHog", "POS"),
            ("My Big Company", "MBC"),
            ("A", "A"),
            ("!!!", "TSK"),
            ("", "TSK"),
            ("a-b-c-d", "ABC"),
            ("42 things", "42T"),
            ("ABCDE", "ABC"),
        ],
    )
    async def test_prefix_follows_the_projects_name(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        task_url: str,
        name: str,
        prefix: str,
    ) -> None:
        """Computed on read: renaming the project changes all slugs."""
        assert (await client.get(task_url)).json()["slug"] == "TES-0"
        await session.execute(update(Project).where(Project.id == project.id).values(name=name))
        assert (await client.get(task_url)).json()["slug"] == f"{prefix}-0"


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
class TestUpdate:
    async def test_only_given_fields_change(
        self, client: httpx.AsyncClient, task_url: str, clock: MovableClock, method: str
    ) -> None:
        before = (await client.get(task_url)).json()
        clock.advance(minutes=1)
        after = (await client.request(method, task_url, json={"description": "new"})).json()
        assert after["updated_at"] != before["updated_at"]
        assert after == before | {"description": "new", "updated_at": after["updated_at"]}

    async def test_empty_object_moves_updated_at(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        task: Task,
        task_url: str,
        method: str,
        clock: MovableClock,
    ) -> None:
        clock.now = task.updated_at + timedelta(hours=1)
        response = await client.request(method, task_url, json={})
        assert response.status_code == 200
        stored = await session.execute(select(Task.updated_at, Task.created_at).where(Task.id == task.id))
        assert stored.one() == (clock.now, task.created_at)

    @pytest.mark.parametrize(
        "change",
        [
            {"title": "x", "title_manually_set": True},
            {"title": "", "title_manually_set": False},
            {"description": "x"},
            {"repository": "o/r"},
            {"json_schema": {"type": "object"}},
            {"json_schema": None},
            {"internal": True},
            {"ci_prompt": "x"},
            {"ci_prompt": ""},
            {"ci_prompt": None},
        ],
        ids=repr,
    )
    async def test_fields_that_may_change(
        self, client: httpx.AsyncClient, task_url: str, method: str, change: Json
    ) -> None:
        shown = (await client.request(method, task_url, json=change)).json()
        assert {key: shown[key] for key in change} == change
        assert (await client.get(task_url)).json() == shown

    async def test_title_alone_counts_as_set_by_hand(
        self, client: httpx.AsyncClient, tasks_url: str, method: str
    ) -> None:
        created = (await client.post(tasks_url, json={"description": "Generated"})).json()
        assert created["title_manually_set"] is False
        url = f"{tasks_url}/{created['id']}"
        assert (await client.request(method, url, json={"title": "Mine"})).json()[
            "title_manually_set"
        ] is True

    async def test_explicit_flag_wins(self, client: httpx.AsyncClient, task_url: str, method: str) -> None:
        body = {"title": "Theirs", "title_manually_set": False}
        assert (await client.request(method, task_url, json=body)).json()["title_manually_set"] is False

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
            stamp: str | None = (await client.request(method, task_url, json={"archived": archived})).json()[
                "archived_at"
            ]
            return stamp

        first = await archive(archived=True)
        assert first == clock.now.isoformat().replace("+00:00", "Z")
        clock.advance(hours=1)
        assert await archive(archived=True) == first
        assert await archive(archived=False) is None
        clock.advance(hours=1)
        assert await archive(archived=True) == clock.now.isoformat().replace("+00:00", "Z")

    @pytest.mark.caller(CallerKind.MEMBER)
    async def test_shared_task_may_be_changed_by_any_member_and_keeps_its_creator(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        tasks_url: str,
        method: str,
    ) -> None:
        shared = await make_task(
            session, project=project, created_by=owner, origin_product=OriginProduct.HOGDESK
        )
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

    async def test_second_time_is_not_found(self, client: httpx.AsyncClient, task_url: str) -> None:
        assert (await client.delete(task_url)).status_code == 204
        assert_not_found(await client.delete(task_url))

    async def test_lists_omit_the_task(
        self, client: httpx.AsyncClient, session: AsyncSession, project: Project, owner: User, tasks_url: str
    ) -> None:
        task = await make_task(session, project=project, created_by=owner, repository="org/repo")
        await make_run(session, task=task)
        assert (await client.delete(f"{tasks_url}/{task.id}")).status_code == 204
        assert_page(await client.get(tasks_url), count=0)
        assert_page(await client.post(f"{tasks_url}/summaries", json={"ids": [str(task.id)]}), count=0)
        assert (await client.get(f"{tasks_url}/repositories")).json() == {"repositories": []}

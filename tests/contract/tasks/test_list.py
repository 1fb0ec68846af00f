"""The filters of the list of tasks (contract 5.1)."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import RunStatus
from app.models import Project, Task, User
from tests.support.assertions import assert_invalid, assert_page, concerning
from tests.support.callers import Caller, CallerKind
from tests.support.factories import make_project, make_run, make_task

MakeTask = Callable[..., Awaitable[Task]]
Titles = Callable[..., Awaitable[list[str]]]


@pytest.fixture
def make(session: AsyncSession, project: Project, owner: User) -> MakeTask:
    """Make a task of the owner, with runs of these statuses and stages, oldest first."""

    async def make(
        title: str,
        *,
        runs: list[RunStatus] | None = None,
        stages: list[str | None] | None = None,
        **overrides: Any,
    ) -> Task:
        creator = overrides.pop("created_by", owner)
        task = await make_task(session, project=project, created_by=creator, title=title, **overrides)
        for status in runs or []:
            await make_run(session, task=task, status=status)
        for stage in stages or []:
            await make_run(session, task=task, stage=stage)
        return task

    return make


@pytest.fixture
def titles(client: httpx.AsyncClient, tasks_url: str) -> Titles:
    """List with this query and return the titles, sorted; the count must agree."""

    async def titles(**query: str) -> list[str]:
        response = await client.get(tasks_url, params=query)
        rows = assert_page(response, count=response.json().get("count", -1))
        assert len(rows) == response.json()["count"]
        return sorted(row["title"] for row in rows)

    return titles


class TestArchived:
    async def test_archived_takes_three_words(self, make: MakeTask, titles: Titles) -> None:
        await make("active")
        await make("put away", archived=True, archived_at=utcnow())
        assert await titles() == ["active"]
        for word, expected in (("", ["active"]), ("false", ["active"]), ("true", ["put away"])):
            assert await titles(archived=word) == expected
        assert await titles(archived="all") == ["active", "put away"]


class TestCreatedBy:
    async def test_narrows_to_one_creator(
        self, colleague: User, owner: User, make: MakeTask, titles: Titles
    ) -> None:
        await make("own")
        await make("shared", created_by=colleague, origin_product="onboarding")
        await make("private", created_by=colleague)
        await make("without a creator", created_by=None)
        assert await titles(created_by=str(owner.id)) == ["own"]
        assert await titles(created_by=str(colleague.id)) == ["shared"]
        assert await titles(created_by="999999999") == []
        assert await titles(created_by="") == ["own", "shared", "without a creator"]


class TestInternal:
    @pytest.fixture(autouse=True)
    async def tasks(self, make: MakeTask, caller: Caller) -> None:
        await make("ordinary", created_by=caller.user)
        await make("internal", created_by=caller.user, internal=True)

    async def test_members_never_list_internal_tasks(self, titles: Titles) -> None:
        """Contract 11 #2, #3: the parameter of others than staff is ignored, not refused."""
        for word in ("", "false", "0", "true", "1", "yes", "all"):
            assert await titles(internal=word) == ["ordinary"]

    @pytest.mark.caller(CallerKind.STAFF)
    async def test_staff_list_one_kind_or_the_other_or_both(self, titles: Titles) -> None:
        for word in ("", "false", "off"):
            assert await titles(internal=word) == ["ordinary"]
        for word in ("true", "TRUE", "1"):
            assert await titles(internal=word) == ["internal"]
        assert await titles(internal="all") == ["internal", "ordinary"]


class TestRepository:
    @pytest.fixture(autouse=True)
    async def tasks(self, make: MakeTask) -> None:
        for repository in ("org/repo", "org/my-repo", "organic/repo", "my_org/repo", "myxorg/repo", "", None):
            await make(str(repository), repository=repository)

    async def test_organization_is_what_stands_before_the_slash(self, titles: Titles) -> None:
        for value, expected in (
            *((value, ["org/my-repo", "org/repo"]) for value in ("org", "ORG")),
            ("my_org", ["my_org/repo"]),
            # No wildcards; and the slash is added.
            *((value, []) for value in ("my%", "org\\", "unknown", "org/")),
        ):
            with concerning(value):
                assert await titles(organization=value) == expected

    async def test_repository_is_whole_or_its_name(self, titles: Titles) -> None:
        for value, expected in (
            *((value, ["org/repo"]) for value in ("org/repo", "Org/REPO")),
            ("my_org/repo", ["my_org/repo"]),
            ("repo", ["my_org/repo", "myxorg/repo", "org/repo", "organic/repo"]),
            *((value, ["org/my-repo"]) for value in ("my-repo", "MY-REPO")),
            # No wildcards; and an organization is no name.
            *((value, []) for value in ("%/repo", "re_o", "/repo", "org")),
        ):
            with concerning(value):
                assert await titles(repository=value) == expected


class TestOrigin:
    async def test_origin_is_compared_exactly(self, make: MakeTask, titles: Titles) -> None:
        await make("chat", origin_product="slack")
        await make("plain")
        assert await titles(origin_product="slack") == ["chat"]
        assert await titles(origin_product="SLACK") == []
        assert await titles(origin_product="nowhere") == []
        assert await titles(origin_product="") == ["chat", "plain"]


class TestStatus:
    async def test_is_that_of_the_latest_run(self, make: MakeTask, titles: Titles) -> None:
        """Tasks without a run never match, not even `not_started` (contract 11 #25)."""
        await make("none")
        for status in RunStatus:
            await make(status.value, runs=[status])
        await make("failed, then queued", runs=[RunStatus.FAILED, RunStatus.QUEUED])
        for status in RunStatus:
            also = ["failed, then queued"] if status is RunStatus.QUEUED else []
            assert await titles(status=status.value) == sorted([status.value, *also])
        assert len(await titles(status="")) == len(RunStatus) + 2


class TestStage:
    async def test_matches_any_run_once(self, make: MakeTask, titles: Titles) -> None:
        await make("twice", stages=["build", "build", None])
        await make("earlier", stages=["build", "review"])
        await make("other", stages=["review"])
        await make("none")
        assert await titles(stage="build") == ["earlier", "twice"]
        assert await titles(stage="review") == ["earlier", "other"]
        assert await titles(stage="Build") == []
        assert len(await titles(stage="")) == 4


LOGIN, PERCENT, RATE, UNICODE = ["Fix Login"], ["100% coverage"], ["Second-Rate 7"], ["ünïcode"]
# What is searched for, and what is found (contract 5.1).
FOUND: list[tuple[str, list[str]]] = [
    # Parts of the title or of the description, trimmed and in any case, but not of both together.
    *((text, LOGIN) for text in ("login", "FLICK", "  login  ", "x log")),
    *((text, []) for text in ("Login The", "nothing like this")),
    ("ÜNÏ", UNICODE),
    # No wildcards.
    *((text, PERCENT) for text in ("%", "0% c", "a_b", "c\\d", "\\")),
    ("axb", []),
    # The number behind the last hyphen, in any project's prefix, or digits alone, which are text too.
    *(("TES-2", RATE), ("TES-02", RATE), ("2", RATE), ("Rate 7", RATE), ("-1", PERCENT)),
    *(("other-3", UNICODE), ("a-b-3", UNICODE), ("0", PERCENT + LOGIN)),
    *((text, []) for text in ("TES-2x", "TES-99")),
]


class TestSearch:
    @pytest.fixture(autouse=True)
    async def tasks(self, make: MakeTask) -> None:
        await make("Fix Login", description="The page flickers")
        await make("100% coverage", description="a_b and c\\d")
        await make("Second-Rate 7", description="x")
        await make("ünïcode", description="say it")

    async def test_finds_text_or_number(self, titles: Titles) -> None:
        for text, expected in FOUND:
            with concerning(text):
                assert await titles(search=text) == expected
        for text in ("", "   ", "\t"):  # ignored (contract 11 #21)
            assert len(await titles(search=text)) == 4

    async def test_number_of_another_project_is_not_found(
        self, session: AsyncSession, owner: User, titles: Titles
    ) -> None:
        elsewhere = await make_project(session)
        await make_task(session, project=elsewhere, created_by=owner, task_number=77, title="far away")
        assert await titles(search="TES-77") == []


async def test_task_must_pass_all_filters(make: MakeTask, titles: Titles) -> None:
    await make("both", repository="org/repo", origin_product="slack")
    await make("only repository", repository="org/repo")
    await make("only origin", origin_product="slack")
    assert await titles(repository="org/repo", origin_product="slack") == ["both"]
    assert await titles(repository="org/repo", origin_product="slack", search="nothing") == []


async def test_count_is_that_of_the_filtered_tasks(
    client: httpx.AsyncClient, make: MakeTask, tasks_url: str
) -> None:
    for number in range(5):
        await make(f"task {number}", origin_product="slack" if number < 3 else "user_created")
    response = await client.get(tasks_url, params={"origin_product": "slack", "limit": "2"})
    assert len(assert_page(response, count=3)) == 2


async def test_filters_never_widen_what_is_seen(colleague: User, make: MakeTask, titles: Titles) -> None:
    run: dict[str, Any] = {"runs": [RunStatus.QUEUED], "stages": ["build"]}
    await make("private", created_by=colleague, repository="org/repo", **run)
    for query in (
        {"created_by": str(colleague.id)},
        {"repository": "org/repo"},
        {"organization": "org"},
        {"status": "queued"},
        {"stage": "build"},
        {"search": "private"},
        {"search": "TES-0"},
        {"archived": "all"},
    ):
        assert await titles(**query) == []


async def test_deleted_tasks_never_appear(make: MakeTask, titles: Titles) -> None:
    await make("gone", deleted=True, deleted_at=utcnow())
    assert await titles(archived="all") == []
    assert await titles(search="gone") == []


async def test_unknown_parameters_are_ignored(make: MakeTask, titles: Titles) -> None:
    await make("here")
    assert await titles(channel="x", all_team_tasks="true") == ["here"]


@pytest.mark.parametrize("caller", [CallerKind.OWNER, CallerKind.STAFF], indirect=True)
async def test_wrong_filter_is_refused(client: httpx.AsyncClient, tasks_url: str) -> None:
    """The first one in the order of the contract is named."""
    no_choice, no_integer, no_boolean = (
        "not a valid choice.",
        "A valid integer is required.",
        "Must be a valid boolean.",
    )
    for name, code, detail, values in (
        ("archived", "invalid_choice", no_choice, ("True", "ALL", "1", "0", "yes", "maybe")),
        ("created_by", "invalid_input", no_integer, ("x", "1.5", "true", "@me")),
        ("internal", "invalid_input", no_boolean, ("ALL", "maybe", "2")),
        ("ordering", "invalid_choice", no_choice, ("created_at", "title", "-Created_At")),
        ("status", "invalid_choice", no_choice, ("done", "QUEUED", "queued,failed")),
    ):
        for value in values:
            response = await client.get(tasks_url, params={name: value, "status": value})
            words = f'"{value}" is {detail}' if code == "invalid_choice" else detail
            with concerning(f"{name}: {value}"):
                assert_invalid(response, name, code, words)


async def test_filters_belong_to_the_list_only(
    client: httpx.AsyncClient, make: MakeTask, tasks_url: str
) -> None:
    task = await make("active")
    response = await client.get(f"{tasks_url}/{task.id}?archived=true&status=nonsense")
    assert response.json()["title"] == "active"

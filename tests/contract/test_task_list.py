"""The filters of the list (contract 5.1)."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.enums import RunStatus
from app.models import Project, Task, User
from tests.support.assertions import assert_invalid, assert_page
from tests.support.callers import Caller, CallerKind
from tests.support.factories import make_project, make_run, make_task, make_user

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
    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            pytest.param({}, ["active"], id="5.1-absent-is-false"),
            pytest.param({"archived": ""}, ["active"], id="2.5-empty-is-absent"),
            pytest.param({"archived": "false"}, ["active"], id="5.1-false"),
            pytest.param({"archived": "true"}, ["put away"], id="5.1-true-is-only-archived"),
            pytest.param({"archived": "all"}, ["active", "put away"], id="5.1-all"),
        ],
    )
    async def test_words(
        self, make: MakeTask, titles: Titles, query: dict[str, str], expected: list[str]
    ) -> None:
        await make("active")
        await make("put away", archived=True, archived_at=utcnow())
        assert await titles(**query) == expected

    @pytest.mark.parametrize("word", ["True", "ALL", "1", "0", "yes", "maybe"])
    async def test_other_words_are_refused(
        self, client: httpx.AsyncClient, tasks_url: str, word: str
    ) -> None:
        response = await client.get(tasks_url, params={"archived": word})
        assert_invalid(response, "archived", "invalid_choice", f'"{word}" is not a valid choice.')


class TestCreatedBy:
    async def test_narrows_to_one_creator(
        self, session: AsyncSession, project: Project, owner: User, make: MakeTask, titles: Titles
    ) -> None:
        other = await make_user(session, projects=[project])
        await make("own")
        await make("shared", created_by=other, origin_product="onboarding")
        await make("private", created_by=other)
        await make("nobody's", created_by=None)
        assert await titles(created_by=str(owner.id)) == ["own"]
        assert await titles(created_by=str(other.id)) == ["shared"]
        assert await titles(created_by="999999999") == []
        assert await titles(created_by="") == ["nobody's", "own", "shared"]

    @pytest.mark.parametrize("value", ["x", "1.5", "true", "@me"])
    async def test_what_is_no_number_is_refused(
        self, client: httpx.AsyncClient, tasks_url: str, value: str
    ) -> None:
        response = await client.get(tasks_url, params={"created_by": value})
        assert_invalid(response, "created_by", "invalid_input", "A valid integer is required.")


class TestInternal:
    @pytest.fixture(autouse=True)
    async def tasks(self, make: MakeTask, caller: Caller) -> None:
        await make("ordinary", created_by=caller.user)
        await make("internal", created_by=caller.user, internal=True)

    @pytest.mark.parametrize("word", ["", "false", "0", "true", "1", "yes"])
    async def test_members_never_list_internal_tasks(self, titles: Titles, word: str) -> None:
        """Contract 11 #2, #3: the wish of others than staff is ignored, not refused."""
        assert await titles(internal=word) == ["ordinary"]

    @pytest.mark.caller(CallerKind.STAFF)
    @pytest.mark.parametrize(
        ("word", "expected"),
        [
            ("", "ordinary"),
            ("false", "ordinary"),
            ("off", "ordinary"),
            ("true", "internal"),
            ("TRUE", "internal"),
            ("1", "internal"),
        ],
    )
    async def test_staff_list_one_kind_or_the_other(self, titles: Titles, word: str, expected: str) -> None:
        assert await titles(internal=word) == [expected]

    @pytest.mark.parametrize("caller", [CallerKind.OWNER, CallerKind.STAFF], indirect=True)
    @pytest.mark.parametrize("word", ["all", "maybe", "2"])
    async def test_other_words_are_refused(
        self, client: httpx.AsyncClient, tasks_url: str, word: str
    ) -> None:
        response = await client.get(tasks_url, params={"internal": word})
        assert_invalid(response, "internal", "invalid_input", "Must be a valid boolean.")


class TestRepository:
    @pytest.fixture(autouse=True)
    async def tasks(self, make: MakeTask) -> None:
        for repository in ("org/repo", "org/my-repo", "organic/repo", "my_org/repo", "myxorg/repo", "", None):
            await make(str(repository), repository=repository)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            pytest.param("org", ["org/my-repo", "org/repo"], id="5.1-not-a-mere-prefix"),
            pytest.param("ORG", ["org/my-repo", "org/repo"], id="5.1-any-case"),
            pytest.param("my_org", ["my_org/repo"], id="5.1-underscore-is-literal"),
            pytest.param("my%", [], id="5.1-percent-is-literal"),
            pytest.param("org\\", [], id="5.1-backslash-is-literal"),
            pytest.param("unknown", [], id="5.1-unknown"),
            pytest.param("org/", [], id="5.1-the-slash-is-added"),
        ],
    )
    async def test_organization_is_what_stands_before_the_slash(
        self, titles: Titles, value: str, expected: list[str]
    ) -> None:
        assert await titles(organization=value) == expected

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            pytest.param("org/repo", ["org/repo"], id="5.1-with-a-slash-equal"),
            pytest.param("Org/REPO", ["org/repo"], id="5.1-any-case"),
            pytest.param("my_org/repo", ["my_org/repo"], id="5.1-underscore-is-literal"),
            pytest.param("%/repo", [], id="5.1-percent-is-literal"),
            pytest.param(
                "repo",
                ["my_org/repo", "myxorg/repo", "org/repo", "organic/repo"],
                id="5.1-without-a-slash-the-name",
            ),
            pytest.param("my-repo", ["org/my-repo"], id="5.1-not-a-mere-suffix"),
            pytest.param("MY-REPO", ["org/my-repo"], id="5.1-name-in-any-case"),
            pytest.param("re_o", [], id="5.1-underscore-in-a-name-is-literal"),
            pytest.param("/repo", [], id="5.1-slash-in-front"),
            pytest.param("org", [], id="5.1-organization-is-no-name"),
        ],
    )
    async def test_repository_is_whole_or_its_name(
        self, titles: Titles, value: str, expected: list[str]
    ) -> None:
        assert await titles(repository=value) == expected


class TestOrigin:
    async def test_is_exact(self, make: MakeTask, titles: Titles) -> None:
        await make("chat", origin_product="slack")
        await make("plain")
        assert await titles(origin_product="slack") == ["chat"]
        assert await titles(origin_product="SLACK") == []
        assert await titles(origin_product="nowhere") == []
        assert await titles(origin_product="") == ["chat", "plain"]


class TestStatus:
    @pytest.fixture(autouse=True)
    async def tasks(self, make: MakeTask) -> None:
        await make("none")
        for status in RunStatus:
            await make(status.value, runs=[status])
        await make("failed, then queued", runs=[RunStatus.FAILED, RunStatus.QUEUED])

    @pytest.mark.parametrize("status", list(RunStatus))
    async def test_is_that_of_the_latest_run(self, titles: Titles, status: RunStatus) -> None:
        """Tasks without a run never match, not even `not_started` (contract 11 #25)."""
        also = ["failed, then queued"] if status is RunStatus.QUEUED else []
        assert await titles(status=status.value) == sorted([status.value, *also])

    async def test_empty_counts_as_absent(self, titles: Titles) -> None:
        assert len(await titles(status="")) == len(RunStatus) + 2

    @pytest.mark.parametrize("value", ["done", "QUEUED", "queued,failed"])
    async def test_other_values_are_refused(
        self, client: httpx.AsyncClient, tasks_url: str, value: str
    ) -> None:
        response = await client.get(tasks_url, params={"status": value})
        assert_invalid(response, "status", "invalid_choice", f'"{value}" is not a valid choice.')


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


class TestSearch:
    @pytest.fixture(autouse=True)
    async def tasks(self, make: MakeTask) -> None:
        await make("Fix Login", description="The page flickers")
        await make("100% coverage", description="a_b and c\\d")
        await make("Second-Rate 7", description="x")
        await make("ünïcode", description="say it")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            pytest.param("login", ["Fix Login"], id="5.1-title-in-any-case"),
            pytest.param("FLICK", ["Fix Login"], id="5.1-description-in-any-case"),
            pytest.param("  login  ", ["Fix Login"], id="5.1-trimmed"),
            pytest.param("x log", ["Fix Login"], id="5.1-substring-over-words"),
            pytest.param("Login The", [], id="5.1-not-over-both-fields"),
            pytest.param("%", ["100% coverage"], id="5.1-percent-is-literal"),
            pytest.param("0% c", ["100% coverage"], id="5.1-percent-inside"),
            pytest.param("a_b", ["100% coverage"], id="5.1-underscore-is-literal"),
            pytest.param("axb", [], id="5.1-underscore-is-no-wildcard"),
            pytest.param("c\\d", ["100% coverage"], id="5.1-backslash-is-literal"),
            pytest.param("\\", ["100% coverage"], id="5.1-backslash-alone"),
            pytest.param("ÜNÏ", ["ünïcode"], id="5.1-unicode-in-any-case"),
            pytest.param("nothing like this", [], id="5.1-no-match"),
            pytest.param("0", ["100% coverage", "Fix Login"], id="5.1-number-and-text"),
            pytest.param("TES-2", ["Second-Rate 7"], id="5.1-slug"),
            pytest.param("other-3", ["ünïcode"], id="5.1-prefix-is-not-checked"),
            pytest.param("-1", ["100% coverage"], id="5.1-digits-behind-a-hyphen"),
            pytest.param("TES-02", ["Second-Rate 7"], id="5.1-leading-zero"),
            pytest.param("TES-2x", [], id="5.1-more-than-digits"),
            pytest.param("Rate 7", ["Second-Rate 7"], id="5.1-digits-without-a-hyphen-are-text"),
            pytest.param("a-b-3", ["ünïcode"], id="5.1-last-hyphen-counts"),
            pytest.param("TES-99", [], id="5.1-unknown-number"),
            pytest.param("2", ["Second-Rate 7"], id="5.1-all-digits"),
        ],
    )
    async def test_finds_text_or_number(self, titles: Titles, text: str, expected: list[str]) -> None:
        assert await titles(search=text) == expected

    @pytest.mark.parametrize("text", ["", "   ", "\t"])
    async def test_blank_is_ignored(self, titles: Titles, text: str) -> None:
        """Contract 11 #21."""
        assert len(await titles(search=text)) == 4

    async def test_number_of_another_project_is_not_found(
        self, session: AsyncSession, owner: User, titles: Titles
    ) -> None:
        elsewhere = await make_project(session)
        await make_task(session, project=elsewhere, created_by=owner, task_number=77, title="far away")
        assert await titles(search="TES-77") == []


async def test_filters_apply_together(make: MakeTask, titles: Titles) -> None:
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


async def test_filters_never_widen_what_is_seen(
    session: AsyncSession, project: Project, make: MakeTask, titles: Titles
) -> None:
    other = await make_user(session, projects=[project])
    await make("private", created_by=other, repository="org/repo", runs=[RunStatus.QUEUED], stages=["build"])
    for query in (
        {"created_by": str(other.id)},
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


@pytest.mark.parametrize("query", [{"channel": "x"}, {"all_team_tasks": "true"}, {"ordering": "title"}])
async def test_unknown_parameters_are_ignored(make: MakeTask, titles: Titles, query: dict[str, str]) -> None:
    await make("here")
    assert await titles(**query) == ["here"]


async def test_first_wrong_filter_is_named(client: httpx.AsyncClient, tasks_url: str) -> None:
    response = await client.get(f"{tasks_url}?status=x&internal=maybe")
    assert_invalid(response, "internal", "invalid_input", "Must be a valid boolean.")


async def test_filters_belong_to_the_list_only(
    client: httpx.AsyncClient, make: MakeTask, tasks_url: str
) -> None:
    task = await make("active")
    response = await client.get(f"{tasks_url}/{task.id}?archived=true&status=nonsense")
    assert response.json()["title"] == "active"

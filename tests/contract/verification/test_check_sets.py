"""Check sets: what the runs of a project are set up with and checked by (contract 18.1)."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.clients.redis import create_redis
from app.enums import AgentNetwork, SandboxKind
from app.models import CheckSet, Project, User
from app.runtime import ProcessContext
from app.services.runs.queue.worker_reports import report_worker
from tests.support.assertions import assert_invalid, assert_not_found, assert_page, concerning
from tests.support.callers import CallerKind, Cast, bearer
from tests.support.clock import MovableClock
from tests.support.deployment.processes import closed_port
from tests.support.factories import make_key, make_project, make_user
from tests.support.verification import CHECK_DEFAULTS, DEFINITIONS_DEFAULTS, STEP_DEFAULTS

JSON = dict[str, Any]

TESTS: JSON = {"id": "tests", "run": ["pytest"]}
STEP: JSON = {"run": ["npm", "ci"]}
KEYS = [
    "id",
    "repository",
    "setup",
    "checks",
    "protected_paths",
    "test_paths",
    "checks_network",
    "max_repairs",
    "on_unverified",
    "base",
    "created_at",
    "created_by",
    "updated_at",
    "updated_by",
]
DEFAULTS: JSON = {"repository": None, **DEFINITIONS_DEFAULTS}
GIVEN: JSON = {
    "repository": "acme/shop",
    "setup": [
        {
            **STEP_DEFAULTS,
            "shell": "npm ci",
            "cwd": "web",
            "timeout_seconds": 60,
            "cache": ["node_modules", "~/.npm"],
            "cache_key": ["package-lock.json"],
        },
        {**STEP_DEFAULTS, "run": ["postgres", " "], "background": True, "ready": ["pg_isready"]},
    ],
    "checks": [
        {
            **CHECK_DEFAULTS,
            "id": "tests",
            "run": ["pytest", "-q", ""],
            "cwd": "api",
            "paths": ["api/**"],
            "timeout_seconds": 3600,
            "gate": "strict",
            "reports": ["report.xml"],
            "retries": 0,
            "expect_base": "failed",
        }
    ],
    "protected_paths": [".github/**"],
    "test_paths": [],
    "checks_network": "run",
    "max_repairs": 0,
    "on_unverified": "fail",
    "base": "always",
}


@pytest.fixture
def url(project: Project) -> str:
    return f"/api/projects/{project.id}/check_sets"


def defined(shown: JSON) -> JSON:
    return {name: value for name, value in shown.items() if name in DEFAULTS}


class TestCreate:
    async def test_of_nothing_has_the_defaults(
        self, client: httpx.AsyncClient, url: str, owner: User
    ) -> None:
        created = await client.post(url, json={})
        assert created.status_code == 201
        shown = created.json()
        assert list(shown) == KEYS
        assert defined(shown) == DEFAULTS
        assert shown["created_by"] == shown["updated_by"]
        assert shown["created_by"]["id"] == owner.id
        assert shown["created_at"] == shown["updated_at"]
        assert (await client.get(f"{url}/{shown['id']}")).json() == shown

    async def test_shows_all_that_was_given(self, client: httpx.AsyncClient, url: str) -> None:
        created = await client.post(url, json={**GIVEN, "unknown": 1, "repository": " ACME/Shop "})
        assert created.status_code == 201, created.text
        assert defined(created.json()) == GIVEN
        assert [defined(row) for row in assert_page(await client.get(url), count=1)] == [GIVEN]

    async def test_null_and_blank_are_the_defaults(self, client: httpx.AsyncClient, url: str) -> None:
        created = await client.post(url, json=dict.fromkeys(DEFAULTS) | {"repository": ""})
        assert defined(created.json()) == DEFAULTS

    async def test_second_of_a_repository_is_refused(self, client: httpx.AsyncClient, url: str) -> None:
        for repository in (None, "acme/shop"):
            made = await client.post(url, json={"repository": repository})
            assert made.status_code == 201
            for spelling in (repository, (repository or "").upper()):
                second = await client.post(url, json={"repository": spelling})
                assert_invalid(second, "repository", "unique")
        assert_page(await client.get(url), count=2)

    async def test_repeated_request_creates_one(self, client: httpx.AsyncClient, url: str) -> None:
        key = {"Idempotency-Key": "set"}
        first, second = [await client.post(url, json=GIVEN, headers=key) for _ in range(2)]
        assert (second.status_code, second.json()) == (201, first.json())
        assert_page(await client.get(url), count=1)


class TestWarnings:
    async def test_are_those_of_the_workers_and_without_any_of_the_settings(
        self, client: httpx.AsyncClient, url: str, application: FastAPI, process: ProcessContext
    ) -> None:
        """Regression: a worker with another sandbox than the settings say was not asked."""
        made = await client.post(url, json={})
        assert "warnings" not in made.json()
        one = f"{url}/{made.json()['id']}"
        for name, warnings in (("one", ["a", "b"]), ("two", ["b", "c"]), ("three", [])):
            await report_worker(process.redis, name, {"agents": {}, "slots": 1, "warnings": warnings})
        created = await client.post(url, json={"repository": "acme/shop"})
        for changed in (created, await client.patch(one, json={"max_repairs": 1})):
            assert sorted(changed.json()["warnings"]) == ["a", "b", "c"]
        assert "warnings" not in (await client.get(one)).json()

        limits = {"agent_sandbox": SandboxKind.LANDLOCK, "agent_network_ceiling": AgentNetwork.MODEL_ONLY}
        away = create_redis(f"redis://127.0.0.1:{closed_port()}/0")
        application.state.process = replace(
            process, redis=away, settings=process.settings.model_copy(update=limits)
        )
        ceiling, sandbox = (await client.patch(one, json={"max_repairs": 2})).json()["warnings"]
        assert "'model-only' instead of 'trusted' (TASKBEACON_AGENT_NETWORK_CEILING)" in ceiling
        assert "the sandbox 'landlock' cannot tell hosts apart (TASKBEACON_AGENT_SANDBOX)" in sandbox
        await away.aclose()


def of_check(**fields: Any) -> JSON:
    return {"checks": [{**TESTS, **fields}]}


def of_step(**fields: Any) -> JSON:
    return {"setup": [{**STEP, **fields}]}


# Contract 18.1: each with the place and the code of its fault.
FAULTS: tuple[tuple[JSON, str, str], ...] = (
    ({"repository": "acme"}, "repository", "invalid_input"),
    ({"repository": "acme/" + "x" * 251}, "repository", "max_length"),
    ({"setup": {}}, "setup", "not_a_list"),
    ({"setup": [STEP] * 11}, "setup", "max_length"),
    ({"setup": [STEP, "make"]}, "setup__1", "not_a_dict"),
    ({"setup": [{}]}, "setup__0__run", "required"),
    ({"setup": [{"run": None, "shell": None}]}, "setup__0__run", "required"),
    ({"setup": [{**STEP, "shell": "make"}]}, "setup__0__shell", "invalid_input"),
    (of_step(run=[]), "setup__0__run", "empty"),
    (of_step(run="make"), "setup__0__run", "not_a_list"),
    (of_step(run=["", "x"]), "setup__0__run__0", "blank"),
    (of_step(run=["x"] * 101), "setup__0__run", "max_length"),
    (of_step(run=["x", "y" * 4097]), "setup__0__run__1", "max_length"),
    (of_step(run=["x", "\0"]), "setup__0__run__1", "null_characters_not_allowed"),
    ({"setup": [{"shell": "x" * 16_385}]}, "setup__0__shell", "max_length"),
    (of_step(cwd="/srv"), "setup__0__cwd", "invalid_input"),
    (of_step(cwd="a/../.."), "setup__0__cwd", "invalid_input"),
    (of_step(background="perhaps"), "setup__0__background", "invalid_input"),
    (of_step(ready=["x"]), "setup__0__ready", "invalid_input"),
    (of_step(background=False, ready=["x"]), "setup__0__ready", "invalid_input"),
    (of_step(timeout_seconds=0), "setup__0__timeout_seconds", "min_value"),
    (of_step(timeout_seconds=3601), "setup__0__timeout_seconds", "max_value"),
    (of_step(cache=["x"] * 11), "setup__0__cache", "max_length"),
    (of_step(cache=["/var"]), "setup__0__cache__0", "invalid_input"),
    (of_step(cache=["a", "~/../x"]), "setup__0__cache__1", "invalid_input"),
    (of_step(cache_key=["../x"]), "setup__0__cache_key__0", "invalid_input"),
    ({"checks": "pytest"}, "checks", "not_a_list"),
    ({"checks": [{**TESTS, "id": f"c{n}"} for n in range(21)]}, "checks", "max_length"),
    ({"checks": [None]}, "checks__0", "not_a_dict"),
    ({"checks": [{"run": ["x"]}]}, "checks__0__id", "required"),
    ({"checks": [TESTS, TESTS]}, "checks__1__id", "invalid_input"),
    *((of_check(id=bad), "checks__0__id", "invalid_input") for bad in ("A", "a b", "é", "x" * 41)),
    (of_check(id=""), "checks__0__id", "blank"),
    ({"checks": [{"id": "a"}]}, "checks__0__run", "required"),
    ({"checks": [{**TESTS, "shell": "pytest"}]}, "checks__0__shell", "invalid_input"),
    (of_check(timeout_seconds=0), "checks__0__timeout_seconds", "min_value"),
    (of_check(timeout_seconds=3601), "checks__0__timeout_seconds", "max_value"),
    (of_check(gate="lax"), "checks__0__gate", "invalid_choice"),
    (of_check(retries=-1), "checks__0__retries", "min_value"),
    (of_check(retries=3), "checks__0__retries", "max_value"),
    (of_check(expect_base="passed"), "checks__0__expect_base", "invalid_choice"),
    (of_check(paths=["x" * 501]), "checks__0__paths__0", "max_length"),
    (of_check(reports=["a"] * 51), "checks__0__reports", "max_length"),
    (of_check(reports=["../a.xml"]), "checks__0__reports__0", "invalid_input"),
    ({"protected_paths": ["a", "/etc/**"]}, "protected_paths__1", "invalid_input"),
    ({"protected_paths": ["../**"]}, "protected_paths__0", "invalid_input"),
    ({"test_paths": ["x"] * 51}, "test_paths", "max_length"),
    ({"test_paths": "tests"}, "test_paths", "not_a_list"),
    ({"checks_network": "full"}, "checks_network", "invalid_choice"),
    ({"max_repairs": -1}, "max_repairs", "min_value"),
    ({"max_repairs": 6}, "max_repairs", "max_value"),
    ({"on_unverified": "retry"}, "on_unverified", "invalid_choice"),
    ({"base": "never"}, "base", "invalid_choice"),
)
CANNOT_FAIL: tuple[JSON, ...] = (
    {"run": ["true"]},
    {"run": ["/bin/true"]},
    {"run": ["echo", "ok"]},
    {"run": ["printf", "ok"]},
    {"run": [":"]},
    {"run": ["bash", "-c", "pytest || true"]},
    {"run": ["sh", "-c", "pytest | tee log"]},
    {"shell": "true"},
    {"shell": "# nothing\necho done; exit 0"},
    {"shell": "pytest || true"},
    {"shell": "pytest || : ; # fine"},
    {"shell": "pytest || exit 0"},
    {"shell": "pytest || echo failed"},
    {"shell": "pytest; true"},
    {"shell": "pytest\nexit 0\n"},
    {"shell": "set +e\npytest"},
    {"shell": "set +o pipefail; pytest | tee log"},
)
CAN_FAIL: tuple[JSON, ...] = (
    {"run": ["pytest"]},
    {"run": ["test", "-f", "x"]},
    {"run": ["bash", "-c", "set -o pipefail; pytest | tee log"]},
    {"shell": "a || b"},
    {"shell": "pytest | tee log"},
    {"shell": "grep '|| true' x"},
    {"shell": "true && pytest"},
)


class TestFaults:
    async def test_are_named_and_nothing_is_stored(
        self, client: httpx.AsyncClient, session: AsyncSession, url: str
    ) -> None:
        kept = (await client.post(url, json=GIVEN)).json()
        for body, attr, code in FAULTS:
            with concerning(body):
                assert_invalid(await client.post(url, json={"repository": "a/b", **body}), attr, code)
                assert_invalid(await client.patch(f"{url}/{kept['id']}", json=body), attr, code)
        assert await session.scalar(select(func.count()).select_from(CheckSet)) == 1
        assert (await client.get(f"{url}/{kept['id']}")).json() == kept

    async def test_first_one_in_the_order_of_fields_is_named(
        self, client: httpx.AsyncClient, url: str
    ) -> None:
        wrong = dict.fromkeys(DEFAULTS, 5) | {"repository": "acme", "max_repairs": 9}
        order: list[tuple[str, Any]] = [(name, wrong[name]) for name in DEFAULTS]
        for index, (name, _) in enumerate(order):
            body = dict(reversed(order[index:]))
            response = await client.post(url, json=body)
            assert response.status_code == 400
            assert response.json()["attr"] == name

    async def test_check_that_cannot_fail_is_refused(self, client: httpx.AsyncClient, url: str) -> None:
        for command in CANNOT_FAIL:
            body = {"checks": [TESTS, {"id": "lint", **command}]}
            [name] = command
            with concerning(command):
                response = await client.post(url, json=body)
                assert_invalid(response, f"checks__1__{name}", "check_cannot_fail")
        assert_page(await client.get(url), count=0)

    async def test_what_can_fail_is_stored_and_set_up_is_free(
        self, client: httpx.AsyncClient, url: str
    ) -> None:
        body = {
            "setup": list(CANNOT_FAIL[:10]),
            "checks": [{"id": f"c{n}", **command} for n, command in enumerate(CAN_FAIL)],
        }
        response = await client.post(url, json=body)
        assert response.status_code == 201, response.text


class TestUpdate:
    async def test_replaces_given_fields_whole_and_null_resets(
        self, client: httpx.AsyncClient, url: str
    ) -> None:
        made = (await client.post(url, json=GIVEN)).json()
        mine = f"{url}/{made['id']}"
        changed = await client.patch(mine, json={"checks": [TESTS], "base": None})
        assert changed.status_code == 200
        [check] = changed.json()["checks"]
        assert (check["run"], check["gate"], check["reports"]) == (["pytest"], "regression", [])
        assert defined(changed.json()) == {**GIVEN, "checks": [check], "base": "auto"}
        reset = await client.patch(mine, json=dict.fromkeys(DEFAULTS))
        assert defined(reset.json()) == DEFAULTS

    async def test_notes_who_changed_it_and_when(
        self,
        client: httpx.AsyncClient,
        anonymous: httpx.AsyncClient,
        session: AsyncSession,
        url: str,
        clock: MovableClock,
        colleague: User,
    ) -> None:
        made = (await client.post(url, json=GIVEN)).json()
        theirs = bearer(await make_key(session, user=colleague))
        clock.advance(minutes=1)
        for nothing in ({}, GIVEN, {"repository": "Acme/SHOP"}, {"created_by": None}):
            same = await anonymous.patch(f"{url}/{made['id']}", json=nothing, headers=theirs)
            with concerning(nothing):
                assert same.json() == made
        changed = (
            await anonymous.patch(f"{url}/{made['id']}", json={"max_repairs": 1}, headers=theirs)
        ).json()
        assert changed["updated_at"] > made["updated_at"]
        assert (changed["created_by"], changed["updated_by"]["id"]) == (made["created_by"], colleague.id)

    async def test_cannot_take_the_repository_of_another(self, client: httpx.AsyncClient, url: str) -> None:
        for_all, of_shop = [
            (await client.post(url, json={"repository": repository})).json()
            for repository in (None, "acme/shop")
        ]
        for made, repository in ((for_all, "acme/shop"), (of_shop, None), (of_shop, "")):
            response = await client.patch(f"{url}/{made['id']}", json={"repository": repository})
            assert_invalid(response, "repository", "unique")
        moved = await client.patch(f"{url}/{of_shop['id']}", json={"repository": "acme/web"})
        assert moved.json()["repository"] == "acme/web"

    async def test_unknown_set_is_not_found_before_the_body_is_read(
        self, client: httpx.AsyncClient, session: AsyncSession, url: str
    ) -> None:
        elsewhere = await make_project(session)
        foreign = CheckSet(
            id=elsewhere.uuid,
            project_id=elsewhere.id,
            definition={},
            created_at=elsewhere.created_at,
            updated_at=elsewhere.created_at,
        )
        session.add(foreign)
        await session.flush()
        gone = (await client.post(url, json={})).json()["id"]
        assert (await client.delete(f"{url}/{gone}")).status_code == 204
        for set_id in (foreign.id, gone, "00000000-0000-4000-8000-000000000000"):
            assert_not_found(await client.get(f"{url}/{set_id}"))
            assert_not_found(await client.patch(f"{url}/{set_id}", json={"base": 5}))
            assert_not_found(await client.delete(f"{url}/{set_id}"))


class TestList:
    async def test_shows_all_of_the_project_newest_first(
        self, client: httpx.AsyncClient, url: str, clock: MovableClock
    ) -> None:
        for repository in (None, "acme/shop", "acme/web"):
            clock.advance(seconds=1)
            _ = await client.post(url, json={"repository": repository})
        rows = assert_page(await client.get(url), count=3)
        assert [row["repository"] for row in rows] == ["acme/web", "acme/shop", None]
        rows = assert_page(await client.get(url, params={"limit": 1, "offset": 1}), count=3)
        assert [row["repository"] for row in rows] == ["acme/shop"]
        for name, count in (("ACME/shop", 1), ("acme", 0), ("shop", 0), ("acme/other", 0), ("", 3)):
            with concerning(name):
                assert_page(await client.get(url, params={"repository": name}), count=count)

    @pytest.mark.caller(CallerKind.MEMBER)
    async def test_every_member_sees_and_changes_the_sets_of_others(
        self, client: httpx.AsyncClient, anonymous: httpx.AsyncClient, url: str, cast: Cast
    ) -> None:
        owners = cast.callers[CallerKind.OWNER].headers
        made = (await anonymous.post(url, json=GIVEN, headers=owners)).json()
        assert assert_page(await client.get(url), count=1) == [made]
        assert (await client.patch(f"{url}/{made['id']}", json={"base": "auto"})).status_code == 200
        assert (await client.delete(f"{url}/{made['id']}")).status_code == 204


async def test_account_that_was_deleted_is_shown_as_null(
    client: httpx.AsyncClient, session: AsyncSession, project: Project, url: str
) -> None:
    gone = await make_user(session, projects=[project])
    made = await client.post(url, json={}, headers=bearer(await make_key(session, user=gone)))
    await session.delete(gone)
    await session.flush()
    shown = (await client.get(f"{url}/{made.json()['id']}")).json()
    assert (shown["created_by"], shown["updated_by"]) == (None, None)

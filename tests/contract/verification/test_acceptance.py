"""Checks that tasks and runs bring themselves (contract 18.2)."""

from typing import Any

import httpx
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Event, Project, Run, Task, User
from tests.support.assertions import assert_invalid, concerning
from tests.support.factories import make_sandbox_environment
from tests.support.makers import NewRun
from tests.support.verification import CHECK_DEFAULTS, DEFINITIONS_DEFAULTS

JSON = dict[str, Any]

TESTS: JSON = {"id": "tests", "run": ["pytest", "-q"]}
GIVEN: JSON = {"checks": [TESTS]}
SHOWN: JSON = {**DEFINITIONS_DEFAULTS, "checks": [CHECK_DEFAULTS | TESTS]}
NOTHING: tuple[JSON, ...] = ({}, {"acceptance": None}, {"acceptance": {}}, {"acceptance": {"unknown": 1}})
FAULTS: tuple[tuple[Any, str, str], ...] = (
    (5, "acceptance", "not_a_dict"),
    ([], "acceptance", "not_a_dict"),
    ({"checks": 5}, "acceptance__checks", "not_a_list"),
    ({"checks": [5]}, "acceptance__checks__0", "not_a_dict"),
    ({"checks": [{"run": ["x"]}]}, "acceptance__checks__0__id", "required"),
    # An id alone names no check that another place defines.
    ({"checks": [{"id": "tests"}]}, "acceptance__checks__0__run", "required"),
    ({"checks": ["tests"]}, "acceptance__checks__0", "not_a_dict"),
    ({"checks": [TESTS, TESTS]}, "acceptance__checks__1__id", "invalid_input"),
    ({"checks": [{"id": "a", "run": ["true"]}]}, "acceptance__checks__0__run", "check_cannot_fail"),
    ({"setup": [{"run": ["x"], "ready": ["y"]}]}, "acceptance__setup__0__ready", "invalid_input"),
    ({"test_paths": ["/etc"]}, "acceptance__test_paths__0", "invalid_input"),
    ({"max_repairs": 6}, "acceptance__max_repairs", "max_value"),
)


class TestOfTask:
    async def test_is_shown_with_its_defaults_and_cleared_by_null(
        self, client: httpx.AsyncClient, tasks_url: str
    ) -> None:
        created = await client.post(tasks_url, json={"title": "x", "acceptance": GIVEN})
        assert created.status_code == 201
        assert created.json()["acceptance"] == SHOWN
        url = f"{tasks_url}/{created.json()['id']}"
        assert (await client.get(url)).json()["acceptance"] == SHOWN
        assert (await client.get(tasks_url)).json()["results"][0]["acceptance"] == SHOWN
        assert (await client.patch(url, json={"title": "y"})).json()["acceptance"] == SHOWN
        strict = {"checks": [{**TESTS, "gate": "strict"}]}
        assert (await client.patch(url, json={"acceptance": strict})).json()["acceptance"] == {
            **SHOWN,
            "checks": [{**SHOWN["checks"][0], "gate": "strict"}],
        }
        for nothing in NOTHING[1:]:
            _ = await client.patch(url, json={"acceptance": GIVEN})
            with concerning(nothing):
                assert (await client.patch(url, json=nothing)).json()["acceptance"] is None

    async def test_naming_nothing_is_none(self, client: httpx.AsyncClient, tasks_url: str) -> None:
        for nothing in NOTHING:
            with concerning(nothing):
                assert (await client.post(tasks_url, json=nothing)).json()["acceptance"] is None

    async def test_fault_is_named_and_nothing_is_stored(
        self, client: httpx.AsyncClient, session: AsyncSession, tasks_url: str, task_url: str
    ) -> None:
        for given, attr, code in FAULTS:
            with concerning(given):
                assert_invalid(await client.post(tasks_url, json={"acceptance": given}), attr, code)
                changed = await client.patch(task_url, json={"title": "new", "acceptance": given})
                assert_invalid(changed, attr, code)
        assert list(await session.scalars(select(Task.title))) == ["Fix the login page"]

    async def test_other_fields_are_checked_before_it(
        self, client: httpx.AsyncClient, tasks_url: str, task_url: str
    ) -> None:
        for field, code in (("ci_prompt", "invalid_input"), ("github_integration", "does_not_exist")):
            body: JSON = {"acceptance": 5, field: [] if field == "ci_prompt" else 123}
            for response in (
                await client.post(tasks_url, json=body),
                await client.patch(task_url, json=body),
            ):
                assert_invalid(response, field, code)
        body = {"acceptance": 5, "scheduled_at": "tomorrow"}
        assert_invalid(await client.post(tasks_url, json=body), "scheduled_at", "invalid_input")

    async def test_event_names_it_if_it_has_changed(
        self, client: httpx.AsyncClient, session: AsyncSession, task: Task, task_url: str
    ) -> None:
        for acceptance in (GIVEN, GIVEN, SHOWN, None, {}):
            assert (await client.patch(task_url, json={"acceptance": acceptance})).status_code == 200
        of_task = select(Event.data).where(Event.task_id == task.id, Event.type == "task.updated")
        changes = [data["changed"] for data in await session.scalars(of_task)]
        assert changes == [["acceptance"]] * 2


class TestOfRun:
    async def test_stands_in_the_state_if_it_was_given(
        self, client: httpx.AsyncClient, task_url: str, run_url: str
    ) -> None:
        for url in (run_url, f"{task_url}/runs"):
            made = (await client.post(url, json={"acceptance": GIVEN})).json()
            assert made.get("latest_run", made)["state"]["acceptance"] == SHOWN
            for nothing in NOTHING:
                made = (await client.post(url, json=nothing)).json()
                with concerning(f"{url}: {nothing}"):
                    assert "acceptance" not in made.get("latest_run", made)["state"]

    async def test_fault_is_named_after_those_of_other_fields(
        self, client: httpx.AsyncClient, session: AsyncSession, task_url: str, run_url: str
    ) -> None:
        for url in (run_url, f"{task_url}/runs"):
            for given, attr, code in FAULTS:
                with concerning(f"{url}: {given}"):
                    assert_invalid(await client.post(url, json={"acceptance": given}), attr, code)
            response = await client.post(url, json={"acceptance": 5, "token_budget": 0})
            assert_invalid(response, "token_budget", "min_value")
        response = await client.post(f"{task_url}/runs", json={"acceptance": 5, "environment": "moon"})
        assert_invalid(response, "environment", "invalid_choice")
        assert list(await session.scalars(select(Run.id))) == []

    async def test_clients_can_neither_set_nor_remove_it(
        self, client: httpx.AsyncClient, task_url: str, run_url: str
    ) -> None:
        made = await client.post(run_url, json={"acceptance": GIVEN})
        url = f"{task_url}/runs/{made.json()['latest_run']['id']}"
        changes: tuple[JSON, ...] = (
            {"state": {"acceptance": {"checks": []}}},
            {"state_remove_keys": ["acceptance"]},
        )
        for change in changes:
            changed = await client.patch(url, json=change)
            assert (changed.status_code, changed.json()["state"]["acceptance"]) == (200, SHOWN)

    async def test_is_taken_over_where_the_request_is_silent(
        self, client: httpx.AsyncClient, new_run: NewRun, run_url: str
    ) -> None:
        previous = await new_run(state={"mode": "background", "acceptance": SHOWN})
        own = {"checks": [{"id": "lint", "run": ["ruff", "check"]}]}
        for given, id_ in (({}, "tests"), ({"acceptance": None}, "tests"), ({"acceptance": own}, "lint")):
            resumed = await client.post(run_url, json={"resume_from_run_id": str(previous.id), **given})
            [check] = resumed.json()["latest_run"]["state"]["acceptance"]["checks"]
            with concerning(given):
                assert check["id"] == id_

    async def test_of_the_task_is_frozen_as_the_task_is(
        self,
        client: httpx.AsyncClient,
        session: AsyncSession,
        project: Project,
        owner: User,
        task_url: str,
        run_url: str,
    ) -> None:
        """Contract 13.17: the run is in a private environment of its person."""
        environment = await make_sandbox_environment(session, project=project, created_by=owner)
        _ = await client.patch(task_url, json={"acceptance": GIVEN})
        made = await client.post(run_url, json={"sandbox_environment_id": str(environment.id)})
        assert made.status_code == 200
        _ = await client.patch(task_url, json={"acceptance": None})
        [snapshot] = await session.scalars(select(Run.asked_task))
        assert snapshot
        assert snapshot["acceptance"] == SHOWN

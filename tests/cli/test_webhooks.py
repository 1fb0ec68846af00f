"""`taskbeacon admin webhooks` and `events`: what operators see of endpoints, and what they can send again."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.ids import new_hex_id, new_id
from app.models import Project, User
from tests.cli.conftest import Admin, Taskbeacon
from tests.support.webhooks import make_delivery, make_endpoint

Look = Callable[[Callable[[AsyncSession], Any]], Any]


@pytest.fixture
def project(admin: Admin) -> int:
    return int(admin("create-project", "--name", "Test Team")["id"])


@pytest.fixture
def user(admin: Admin, project: int) -> int:
    return int(
        admin("create-user", "--email", f"{new_hex_id()}@example.com", "--project", str(project))["id"]
    )


def test_endpoints_are_listed_tested_and_repeated(admin: Admin, look: Look, project: int, user: int) -> None:
    async def make(session: AsyncSession) -> tuple[str, str]:
        owner, of = await session.get_one(User, user), await session.get_one(Project, project)
        endpoint, _ = await make_endpoint(session, project=of, created_by=owner, url="https://a.example.com/")
        delivery = await make_delivery(session, endpoint, status="failed", attempts=10)
        return str(endpoint.id), str(delivery.id)

    async def make_elsewhere(session: AsyncSession) -> str:
        owner, of = await session.get_one(User, user), await session.get_one(Project, other)
        return str(
            (await make_endpoint(session, project=of, created_by=owner, url="https://b.example.com/"))[0].id
        )

    other = int(admin("create-project", "--name", "Other Team")["id"])
    endpoint, delivery = look(make)
    elsewhere = look(make_elsewhere)

    assert {endpoint, elsewhere} <= {row["id"] for row in admin("webhooks", "list")["results"]}
    listed = admin("webhooks", "list", "--project", str(project))
    assert listed["count"] == 1
    (row,) = listed["results"]
    assert (row["id"], row["url"], row["failed"]) == (endpoint, "https://a.example.com/", 1)
    assert "secret" not in str(row)
    assert set(admin("webhooks", "ping", "--endpoint", endpoint)) == {"delivery_id"}
    assert admin("webhooks", "redeliver", "--delivery", delivery) == {"delivery_id": delivery}
    (row,) = admin("webhooks", "list", "--project", str(project))["results"]
    assert (row["failed"], row["pending"]) == (0, 2)


@pytest.mark.parametrize(("command", "option"), [("ping", "--endpoint"), ("redeliver", "--delivery")])
def test_what_is_not_there_is_said_in_one_line(taskbeacon: Taskbeacon, command: str, option: str) -> None:
    result = taskbeacon("admin", "webhooks", command, option, str(new_id()))

    assert result.exit_code == 1
    assert result.stderr.endswith("does not exist.\n")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["remove-member", "deactivate-user"])
def test_logs_of_a_command_are_on_standard_error(
    taskbeacon: Taskbeacon, look: Look, project: int, user: int, command: str
) -> None:
    async def make(session: AsyncSession) -> None:
        owner, of = await session.get_one(User, user), await session.get_one(Project, project)
        await make_endpoint(session, project=of, created_by=owner, url="https://a.example.com/")

    look(make)
    of_project = ("--project", str(project)) if command == "remove-member" else ()

    result = taskbeacon("admin", command, "--user", str(user), *of_project)

    assert result.stdout.count("\n") == 1
    assert json.loads(result.stdout).keys() <= {"id", "project", "user"}
    assert "webhook.endpoint_disabled" in result.stderr


def test_events_are_pruned_at_once(admin: Admin) -> None:
    assert admin("events", "prune") == {"removed": 0}

"""Look-ups of operators with `taskbeacon admin`, keys that expire, and keys that are revoked by their mask."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.clock import utcnow
from app.errors import AuthenticationFailed
from app.ids import new_hex_id
from app.models import ApiKey
from app.services.access.authentication import authenticate
from tests.cli.conftest import Admin, Look, Taskbeacon


def key_of(admin: Admin, user: int, *options: str) -> dict[str, Any]:
    return admin("create-key", "--user", str(user), "--scope", "task:read", *options)


def test_users_are_listed_and_shown(admin: Admin, project: int, user: int, address: str) -> None:
    listed = admin("list-users", "--project", str(project))
    assert listed["count"] == 1
    (found,) = listed["results"]
    assert (found["id"], found["email"], found["is_active"]) == (user, address, True)
    assert admin("list-users", "--email", address.upper())["results"] == [found]
    assert admin("show-user", "--user", str(user)) == {**found, "projects": [project]}


def test_list_shows_one_page_and_the_count_of_all(admin: Admin, project: int, user: int) -> None:
    admin("create-user", "--email", f"{new_hex_id()}@example.com", "--project", str(project))
    second = admin("list-users", "--project", str(project), "--limit", "1", "--offset", "1")
    assert second["count"] == 2
    assert len(second["results"]) == 1
    assert second["results"][0]["id"] > user


def test_projects_and_organizations_are_listed_and_shown(admin: Admin, user: int) -> None:
    organization = admin("create-organization", "--name", "Acme")
    made = admin("create-project", "--name", "Site", "--organization", organization["id"])
    listed = admin("list-projects", "--organization", organization["id"])
    assert [each["id"] for each in listed["results"]] == [made["id"]]
    admin("add-member", "--project", str(made["id"]), "--user", str(user))
    assert admin("show-project", "--project", str(made["id"])) == {**listed["results"][0], "members": [user]}
    organizations = admin("list-organizations", "--limit", "1000")["results"]
    assert organization["id"] in [each["id"] for each in organizations]


def test_keys_are_listed_and_shown_without_their_values(admin: Admin, user: int) -> None:
    key = key_of(admin, user, "--label", "phone")
    listed = admin("list-keys", "--user", str(user))
    assert listed["count"] == 1
    assert (listed["results"][0]["label"], listed["results"][0]["last_used_at"]) == ("phone", None)
    assert admin("show-key", "--key", key["id"]) == listed["results"][0]
    assert key["value"] not in json.dumps(listed)


def test_use_of_a_key_is_shown(admin: Admin, look: Look, user: int) -> None:
    key = key_of(admin, user)
    look(lambda session: authenticate(session, key["value"], place="test"))
    assert admin("show-key", "--key", key["id"])["last_used_at"] is not None


def test_integrations_are_listed_and_shown_without_their_secrets(admin: Admin, project: int) -> None:
    made = admin("create-integration", "--project", str(project), "--kind", "github", "--token", "ghp_secret")
    listed = admin("list-integrations", "--project", str(project))
    assert [each["id"] for each in listed["results"]] == [made["id"]]
    shown = admin("show-integration", "--integration", str(made["id"]))
    assert (shown["has_token"], shown["has_webhook_secret"]) == (True, False)
    assert not any("encrypted" in name for name in shown)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("show-user", ["--user", "999999999"]),
        ("show-project", ["--project", "999999999"]),
        ("show-integration", ["--integration", "999999999"]),
        ("show-key", ["--key", "00000000-0000-4000-8000-000000000000"]),
    ],
)
def test_what_is_not_there_is_said_in_one_line(
    taskbeacon: Taskbeacon, command: str, options: list[str]
) -> None:
    result = taskbeacon("admin", command, *options)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("does not exist.\n")


def test_key_is_revoked_by_its_mask(admin: Admin, look: Look, user: int) -> None:
    key = key_of(admin, user)
    look(lambda session: _with_mask(session, [key["id"]], f"phx_...{new_hex_id()[:4]}"))
    mask = admin("show-key", "--key", key["id"])["mask"]
    assert admin("revoke-key", "--mask", mask) == {"id": key["id"]}
    assert admin("show-key", "--key", key["id"])["revoked_at"] is not None


def test_mask_of_several_working_keys_revokes_none(
    admin: Admin, taskbeacon: Taskbeacon, look: Look, user: int
) -> None:
    keys = [key_of(admin, user)["id"] for _ in range(3)]
    mask = f"phx_...{new_hex_id()[:4]}"
    look(lambda session: _with_mask(session, keys, mask))

    result = taskbeacon("admin", "revoke-key", "--mask", mask)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Several keys look like" in result.stderr
    assert [each["revoked_at"] for each in admin("list-keys", "--mask", mask)["results"]] == [None] * 3
    # What is revoked already does not count.
    for key in keys[:2]:
        admin("revoke-key", "--key", key)
    assert admin("revoke-key", "--mask", mask) == {"id": keys[2]}
    assert taskbeacon("admin", "revoke-key", "--mask", mask).exit_code == 1


async def _with_mask(session: AsyncSession, keys: list[str], mask: str) -> None:
    await session.execute(update(ApiKey).where(ApiKey.id.in_(keys)).values(mask=mask))


@pytest.mark.parametrize("options", [[], ["--mask", "phx_...0000", "--key", "0" * 32]])
def test_key_to_revoke_is_named_in_one_way(taskbeacon: Taskbeacon, options: list[str]) -> None:
    result = taskbeacon("admin", "revoke-key", *options)
    assert result.exit_code == 2
    assert "Give either --key or --mask" in result.stderr


def test_key_ends_when_it_expires(admin: Admin, look: Look, user: int) -> None:
    instant = (utcnow() + timedelta(days=1)).replace(microsecond=0)
    key = key_of(admin, user, "--expires", instant.isoformat())
    assert key["expires_at"] == str(instant)
    look(lambda session: authenticate(session, key["value"], place="test"))

    look(lambda session: _expire(session, key["id"]))
    with pytest.raises(AuthenticationFailed):
        look(lambda session: authenticate(session, key["value"], place="test"))


async def _expire(session: AsyncSession, key: str) -> None:
    await session.execute(update(ApiKey).where(ApiKey.id == key).values(expires_at=utcnow()))


def test_date_is_its_beginning_in_utc(admin: Admin, user: int) -> None:
    assert key_of(admin, user, "--expires", "2999-01-31")["expires_at"] == "2999-01-31 00:00:00+00:00"
    shifted = key_of(admin, user, "--expires", "2999-01-31T02:00:00+02:00")
    assert shifted["expires_at"] == "2999-01-31 00:00:00+00:00"


@pytest.mark.parametrize(
    ("value", "status", "words"),
    [
        ("2001-01-31", 1, "expires: A key must expire in the future."),
        ("tomorrow", 2, "neither a date nor an instant"),
        ("0001-01-01T00:00:00+14:00", 2, "neither a date nor an instant"),
    ],
)
def test_wrong_expiry_is_refused(
    taskbeacon: Taskbeacon, user: int, value: str, status: int, words: str
) -> None:
    result = taskbeacon(
        "admin", "create-key", "--user", str(user), "--scope", "task:read", "--expires", value
    )
    assert (result.exit_code, result.stdout) == (status, "")
    assert words in result.stderr

"""`taskbeacon console`: a link that signs one browser in."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from app.clock import utcnow
from app.models import ApiKey, ConsoleSession
from app.schemas.console import SignIn
from app.services.accounts.console_sessions import Browser, open_session
from tests.cli.conftest import Admin, Look, Taskbeacon

ADDRESS = "https://tasks.example.com/"


@pytest.fixture
def key(admin: Admin, look: Look, user: int) -> dict[str, Any]:
    look(lambda session: session.execute(delete(ConsoleSession)))
    return admin("create-key", "--user", str(user), "--scope", "*")


def test_link_opens_a_session_of_the_key(
    taskbeacon: Taskbeacon, look: Look, user: int, key: dict[str, Any]
) -> None:
    for option, value in (("--key", key["id"]), ("--mask", key["mask"])):
        result = taskbeacon("console", option, value, TASKBEACON_PUBLIC_URL=ADDRESS)
        assert result.exit_code == 0, result.output
        address, _, code = result.output.strip().partition("#")
        assert address == "https://tasks.example.com/console/login"
        assert code not in str(look(lambda session: session.execute(select(ConsoleSession.__table__))).all())
        opened, _ = look(partial(open_session, body=SignIn(code=code), browser=Browser("127.0.0.1", "test")))
        assert opened["user"]["id"] == user


def test_what_cannot_be_linked_to_is_said_on_one_line(
    taskbeacon: Taskbeacon, look: Look, key: dict[str, Any], tmp_path: Path
) -> None:
    home = str(tmp_path)
    public = {"TASKBEACON_PUBLIC_URL": ADDRESS, "TASKBEACON_HOME": home}
    both = taskbeacon("console", "--key", key["id"], "--mask", key["mask"], **public)
    nowhere = taskbeacon("console", "--key", key["id"], TASKBEACON_HOME=home)
    keyless = taskbeacon("console", **public)
    unknown = taskbeacon("console", "--key", "00000000-0000-4000-8000-000000000000", **public)
    look(lambda session: session.execute(update(ApiKey).values(revoked_at=utcnow())))
    revoked = taskbeacon("console", "--key", key["id"], **public)
    for result, said in (
        (both, "either --key or --mask"),
        (nowhere, "TASKBEACON_PUBLIC_URL"),
        (keyless, "name a key"),
        (unknown, "does not exist"),
        (revoked, "is revoked or expired"),
    ):
        assert result.exit_code != 0
        assert said in result.output
        assert len(result.output.splitlines()) == 1

"""Output and effect of `taskbeacon admin`."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from app.config import Settings
from app.models import Integration, SignalReport, User, UserIntegration
from app.security.secrets import Cipher
from app.services.access.authentication import authenticate
from app.services.access.principal import CURRENT_PROJECT
from tests.cli.conftest import Admin, Look, Taskbeacon
from tests.support.deployment.command_line import run_taskbeacon
from tests.support.keys import rsa_pem

INSTALLATION = ["--app-id", "42", "--installation-id", "7"]


def test_organization_and_its_project(admin: Admin) -> None:
    organization = admin("create-organization", "--name", "Acmé")
    project = admin("create-project", "--name", "Site", "--organization", organization["id"])

    assert organization == {"id": str(UUID(organization["id"])), "name": "Acmé"}
    assert project == {"id": project["id"], "organization": organization["id"], "name": "Site"}
    assert isinstance(project["id"], int)


def test_rename_shows_the_project_with_its_new_name(admin: Admin, project: int) -> None:
    renamed = admin("rename-project", "--project", str(project), "--name", "Other Team")

    assert (renamed["id"], renamed["name"]) == (project, "Other Team")
    assert set(renamed) == {"id", "organization", "name"}


@pytest.mark.parametrize(("most", "stored"), [("generic", "generic"), ("any", None)])
def test_limit_of_what_pushes_say(admin: Admin, project: int, most: str, stored: str | None) -> None:
    printed = admin("limit-push-text", "--project", str(project), "--most", most)
    assert printed == {"project": project, "push_text": stored}


@pytest.mark.parametrize(("choice", "stored"), [("--refuse", False), ("--allow", True)])
def test_whether_agents_may_notify(admin: Admin, project: int, choice: str, stored: bool) -> None:
    printed = admin("let-agents-notify", "--project", str(project), choice)
    assert printed == {"project": project, "notify_user": stored}


def test_user_with_every_option(admin: Admin, look: Look, project: int, address: str) -> None:
    other = admin("create-project", "--name", "Other")["id"]

    printed = admin(
        *("create-user", "--email", address, "--first-name", "Ada", "--last-name", "Lovelace", "--staff"),
        *("--project", str(other), "--project", str(project)),
    )

    row: User = look(lambda session: session.get_one(User, printed["id"]))
    assert printed == {"id": row.id, "uuid": str(row.uuid), "distinct_id": str(row.uuid), "email": address}
    assert (row.first_name, row.last_name, row.is_staff) == ("Ada", "Lovelace", True)
    assert row.current_project_id == other


def test_membership_comes_and_goes(admin: Admin, look: Look, project: int, address: str) -> None:
    user = admin("create-user", "--email", address)["id"]
    membership = ("--project", str(project), "--user", str(user))

    added = admin("add-member", *membership)
    while_member = look(lambda session: session.get_one(User, user)).current_project_id
    removed = admin("remove-member", *membership)

    assert added == removed == {"project": project, "user": user}
    assert while_member == project
    assert look(lambda session: session.get_one(User, user)).current_project_id is None


def test_deactivated_and_deleted_user(admin: Admin, look: Look, user: int) -> None:
    assert admin("deactivate-user", "--user", str(user)) == {"id": user}
    assert look(lambda session: session.get_one(User, user)).is_active is False

    assert admin("delete-user", "--user", str(user)) == {"id": user}
    assert look(lambda session: session.get(User, user)) is None


def test_key_works_until_revoked(admin: Admin, look: Look, project: int, user: int) -> None:
    key = admin(
        *("create-key", "--user", str(user), "--scope", "task:read", "--scope", "user:read"),
        *("--project", str(project), "--label", "phone"),
    )

    caller = look(lambda session: authenticate(session, key["value"], place="test", project=CURRENT_PROJECT))
    assert (caller.user_id, caller.scopes) == (user, {"task:read", "user:read"})
    assert caller.scoped_teams == (project,)
    assert set(key) == {"id", "value", "mask", "scopes"}
    assert key["scopes"] == ["task:read", "user:read"]
    assert admin("revoke-key", "--key", key["id"]) == admin("revoke-key", "--key", key["id"])
    with pytest.raises(Exception, match="is invalid"):
        look(lambda session: authenticate(session, key["value"], place="test"))


@pytest.mark.parametrize("way", ["argument", "variable", "standard input"])
def test_token_of_integration_is_kept_encrypted(admin: Admin, look: Look, project: int, way: str) -> None:
    given: dict[str, dict[str, Any]] = {
        "argument": {"arguments": ["--token", "ghp_secret"]},
        "variable": {"TASKBEACON_TOKEN": "ghp_secret"},
        "standard input": {"arguments": ["--token", "-"], "text": "ghp_secret\n"},
    }
    options = given[way]
    arguments = ["--project", str(project), "--kind", "github", *options.pop("arguments", [])]

    printed = admin("create-integration", *arguments, "--git-url", "file:///srv/git", **options)

    row: Integration = look(lambda session: session.get_one(Integration, printed["id"]))
    assert row.encrypted_token is not None
    assert Cipher(Settings().secret_keys).decrypt(row.encrypted_token) == "ghp_secret"
    assert row.git_url == "file:///srv/git"


def test_user_integration_and_signal_report(admin: Admin, look: Look, project: int, user: int) -> None:
    integration = admin("create-user-integration", "--user", str(user), "--kind", "github")
    report = admin("create-signal-report", "--project", str(project), "--title", "Slow")

    owner = look(
        lambda session: session.scalar(
            select(UserIntegration.user_id).where(UserIntegration.id == UUID(integration["id"]))
        )
    )
    title = look(
        lambda session: session.scalar(
            select(SignalReport.title).where(SignalReport.id == UUID(report["id"]))
        )
    )
    assert (owner, title) == (user, "Slow")


def test_answer_of_a_real_process_is_one_line(cli_database_url: str) -> None:
    ended = run_taskbeacon(
        "admin", "create-organization", "--name", "Acme", TASKBEACON_DATABASE_URL=cli_database_url
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith('{"id": "')
    assert ended.stdout.count("\n") == 1


def test_app_installation_is_kept_encrypted(admin: Admin, look: Look, project: int, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(rsa_pem())

    printed = admin(
        *("create-integration", "--project", str(project), "--kind", "github", "--app-id", "42"),
        *("--installation-id", "7", "--private-key-file", str(file), "--webhook-secret", "-"),
        text="hush\n",
    )

    row: Integration = look(lambda session: session.get_one(Integration, printed["id"]))
    assert set(printed) == {"id"}
    assert (row.app_id, row.installation_id, row.encrypted_token) == ("42", "7", None)
    cipher = Cipher(Settings().secret_keys)
    assert cipher.decrypt(row.encrypted_private_key or "") == rsa_pem().strip()
    assert cipher.decrypt(row.encrypted_webhook_secret or "") == "hush"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--app-id", "42"], "go together"),
        ([*INSTALLATION, "--private-key-file", "/nonexistent"], "cannot be read"),
        ([*INSTALLATION, "--private-key-file", "-"], "no unencrypted private key"),
    ],
)
def test_half_an_app_is_refused(
    taskbeacon: Taskbeacon, project: int, arguments: list[str], complaint: str
) -> None:
    result = taskbeacon(
        *("admin", "create-integration", "--project", str(project), "--kind", "github", *arguments),
        text="no key",
    )

    assert result.exit_code != 0
    assert complaint in result.stderr


def test_rotated_secrets_need_the_old_key_no_more(admin: Admin, look: Look, project: int, user: int) -> None:
    old, new = "old-secret-of-thirty-two-characters", "new-secret-of-thirty-two-characters"
    of_project = ("--project", str(project), "--kind", "github", "--token", "ghp_one")
    integration = admin("create-integration", *of_project, TASKBEACON_SECRET_KEYS=old)["id"]
    of_user = ("--user", str(user), "--kind", "github", "--token", "ghu_two")
    own = UUID(admin("create-user-integration", *of_user, TASKBEACON_SECRET_KEYS=old)["id"])

    answer = admin("rotate-secrets", TASKBEACON_SECRET_KEYS=f"{new},{old}")

    only_new = Cipher([SecretStr(new)])
    assert answer["rotated"] >= 2
    assert set(answer) == {"rotated", "unreadable"}
    one = look(lambda session: session.get_one(Integration, integration)).encrypted_token
    two = look(lambda session: session.get_one(UserIntegration, own)).encrypted_token
    assert (only_new.decrypt(one), only_new.decrypt(two)) == ("ghp_one", "ghu_two")

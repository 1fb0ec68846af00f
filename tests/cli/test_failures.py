"""Every failure of a command is one clear line on standard error, nothing on standard output, and an exit code."""

import json
import subprocess
from pathlib import Path
from uuid import uuid4

import click
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from app.cli.admin.transaction import AdminTransaction, Output, transactional
from app.ids import new_hex_id
from tests.cli.conftest import Admin, Taskbeacon
from tests.support.deployment.command_line import run_taskbeacon
from tests.support.deployment.processes import closed_port
from tests.support.deployment.shifted_clock import taskbeacon_ahead
from tests.support.logs import kept_logging

UNKNOWN_ID = str(2**62)
ORGANIZATION = ("admin", "create-organization", "--name", "Acme")


def refusal(result: Result, start: str = "Error: ") -> str:
    """Return the one line of a command that failed as it should."""
    assert result.exit_code in {1, 2}
    assert result.stdout == ""
    line, *more = result.stderr.splitlines()
    assert more == [], result.stderr
    assert line.startswith(start)
    return line


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_wrong_catalog_of_agents_is_named_before_anything_starts(
    taskbeacon: Taskbeacon, tmp_path: Path, command: str
) -> None:
    catalog = tmp_path / "agents.toml"
    catalog.write_text('[adapters.goose]\ncommand = ["goose"]\n')

    line = refusal(taskbeacon(command, TASKBEACON_AGENT_CATALOG=str(catalog)))

    assert "bad TASKBEACON_AGENT_CATALOG: " in line
    assert line.endswith("agents.toml: adapter 'goose': install: Field required")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create-project", "--name", "X", "--organization", str(uuid4())), "Organization"),
        (("create-project", "--name", "X", "--organization", "acme"), "'acme' is not a valid UUID"),
        (("create-project", "--name", "  "), "name: This field may not be blank."),
        (("create-organization",), "Missing option '--name'"),
        (("create-organization", "--name", "x" * 256), "no more than 255 characters"),
        (("rename-project", "--project", UNKNOWN_ID, "--name", "X"), f"Project {UNKNOWN_ID} does not exist."),
        (("create-user", "--email", "nobody"), "email: Enter a valid email address."),
        (("create-user", "--email", "a@b.c", "--project", UNKNOWN_ID), f"Project {UNKNOWN_ID}"),
        (("create-user", "--email", "a@b.c", "--project", "nine"), "'nine' is not a valid integer"),
        (("create-user", "--email", "a@b.c", "--project", str(2**63)), "is not in the range"),
        (("deactivate-user", "--user", UNKNOWN_ID), f"User {UNKNOWN_ID} does not exist."),
        (("create-key", "--user", UNKNOWN_ID, "--scope", "*"), f"User {UNKNOWN_ID}"),
        (("create-key", "--user", UNKNOWN_ID, "--scope", "task"), 'scope: "task" is not a valid choice'),
        (("create-key", "--user", UNKNOWN_ID), "Missing option '--scope'"),
        (("revoke-key", "--key", str(uuid4())), "does not exist."),
        (("create-integration", "--project", "1", "--kind", "gitlab"), "'gitlab' is not 'github'"),
        (("create-integration", "--project", UNKNOWN_ID, "--kind", "github"), f"Project {UNKNOWN_ID}"),
        (("create-everything",), "No such command 'create-everything'"),
    ],
)
def test_bad_argument_is_named(taskbeacon: Taskbeacon, arguments: tuple[str, ...], words: str) -> None:
    assert words in refusal(taskbeacon("admin", *arguments))


@pytest.mark.parametrize("command", ["dev", "serve"])
@pytest.mark.parametrize("value", ["banana", "65536", "-1"])
def test_port_that_is_none_is_named(taskbeacon: Taskbeacon, command: str, value: str) -> None:
    line = refusal(taskbeacon(command, "--port", value))

    assert "'--port'" in line
    assert value in line


def test_port_of_the_environment_that_is_none_is_named(taskbeacon: Taskbeacon) -> None:
    line = refusal(taskbeacon("dev", PORT="banana"))

    assert "'PORT'" in line
    assert "'banana'" in line


def test_address_in_use_is_named(taskbeacon: Taskbeacon, admin: Admin) -> None:
    address = f"{new_hex_id()}@example.com"
    admin("create-user", "--email", address)

    line = refusal(taskbeacon("admin", "create-user", "--email", address.upper()))

    assert line == f"Error: email: A user with the address {address.upper()} exists already."


def test_unreadable_standard_input_is_no_token(taskbeacon: Taskbeacon) -> None:
    arguments = ("admin", "create-integration", "--project", "1", "--kind", "github", "--token", "-")

    assert "token: This field may not be blank." in refusal(taskbeacon(*arguments, text=""))
    assert "standard input holds no text" in refusal(taskbeacon(*arguments, text=b"\xff\xfe"))


@pytest.mark.parametrize("command", [ORGANIZATION, ("migrate",)])
def test_unreachable_database_is_named_without_its_password(
    taskbeacon: Taskbeacon, command: tuple[str, ...]
) -> None:
    port = closed_port()
    url = f"postgresql://me:hunter2@127.0.0.1:{port}/taskbeacon"

    line = refusal(taskbeacon(*command, TASKBEACON_DATABASE_URL=url))

    assert f"cannot reach the database at 127.0.0.1:{port}/taskbeacon" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("command", "missing"),
    [(ORGANIZATION, "database"), *((name, "tables") for name in (ORGANIZATION, ("serve",), ("worker",)))],
)
def test_missing_database_or_schema_is_named(
    taskbeacon: Taskbeacon,
    cli_database_url: str,
    empty_database_url: str,
    command: tuple[str, ...],
    missing: str,
) -> None:
    url = f"{cli_database_url}_gone" if missing == "database" else empty_database_url

    line = refusal(taskbeacon(*command, TASKBEACON_DATABASE_URL=url, TASKBEACON_PORT="0"))

    assert ("does not exist" if missing == "database" else "run `taskbeacon migrate`") in line


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_clock_that_could_sign_nothing_is_named(cli_database_url: str, command: str) -> None:
    ended = run_taskbeacon(
        command,
        program=taskbeacon_ahead(-901),
        TASKBEACON_DATABASE_URL=cli_database_url,
        TASKBEACON_PORT="0",
    )

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.splitlines()[-1].startswith(
        "Error: the clock of this machine is 901 s behind that of the database; at most 300 s"
    )
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TASKBEACON_PORT", "http", "TASKBEACON_PORT: Input should be a valid integer"),
        ("TASKBEACON_LOG_LEVEL", "loud", "TASKBEACON_LOG_LEVEL: "),
        ("TASKBEACON_DATABASE_URL", "mysql://me@localhost/x", "only postgresql:// is supported"),
        ("TASKBEACON_DATABASE_URL", "not a URL", "TASKBEACON_DATABASE_URL"),
        ("TASKBEACON_SECRET_KEYS", "tooshortsecret", "needs 32 characters"),
        ("TASKBEACON_DEVELOPMENT", None, "set TASKBEACON_SECRET_KEYS"),
        ("TASKBEACON_REDIS_URL", "foo", "TASKBEACON_REDIS_URL: this takes redis://host, "),
        ("TASKBEACON_CORS_ORIGINS", "notaurl", "TASKBEACON_CORS_ORIGINS: this takes scheme://host[:port]"),
        (
            "TASKBEACON_VAPID_PRIVATE_KEY",
            '{"private_key": "x"}',
            "TASKBEACON_VAPID_PRIVATE_KEY: this takes 32",
        ),
    ],
)
def test_bad_setting_is_named(taskbeacon: Taskbeacon, name: str, value: str | None, words: str) -> None:
    line = refusal(taskbeacon(*ORGANIZATION, **{name: value}))

    assert line.startswith("Error: bad settings: ")
    assert words in line
    assert "tooshortsecret" not in line


@pytest.mark.parametrize("command", ["serve", "worker", "migrate", "dev"])
@pytest.mark.parametrize(
    ("url", "words"), [("mysql://x", "only postgresql:// is supported"), ("garbage", "this is no URL")]
)
def test_wrong_database_is_named_before_anything_starts(
    taskbeacon: Taskbeacon, tmp_path: Path, command: str, url: str, words: str
) -> None:
    home = tmp_path / "home"

    line = refusal(taskbeacon(command, TASKBEACON_DATABASE_URL=url, TASKBEACON_HOME=str(home)))

    assert line == f"Error: bad settings: TASKBEACON_DATABASE_URL: {words}"
    assert not home.exists()


async def _fault(_transaction: AdminTransaction) -> Output:
    raise RuntimeError("a secret")


async def _refused_by_database(transaction: AdminTransaction) -> Output:
    await transaction.session.execute(text("SELECT 1 / (length(:secret) - 8)"), {"secret": "a secret"})
    return {}


@pytest.mark.parametrize(
    ("operation", "words"),
    [(_fault, "unexpected failure: RuntimeError"), (_refused_by_database, "refuses: division by zero")],
)
def test_fault_of_ours_is_one_line_without_details(
    operation: object, words: str, cli_database_url: str
) -> None:
    command = click.command()(transactional(operation))  # type: ignore[arg-type] # one of the two above

    with kept_logging():
        result = CliRunner().invoke(command, env={"TASKBEACON_DATABASE_URL": cli_database_url})

    assert words in refusal(result)
    assert "a secret" not in result.stderr


def test_worker_names_a_folder_that_it_cannot_make(taskbeacon: Taskbeacon, tmp_path: Path) -> None:
    file = tmp_path / "home"
    file.touch()

    line = refusal(taskbeacon("worker", TASKBEACON_HOME=str(file)))

    assert line == f"Error: cannot make the folder {file}/workspaces: Not a directory"


def test_worker_names_the_sandbox_that_does_not_work_here(cli_database_url: str, tmp_path: Path) -> None:
    # A container engine does the same: no namespaces inside.
    refuse = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    namespace = ["unshare", "--user", "--map-root-user", "sh", "-c", refuse, "sh"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("user namespaces are not available")

    ended = run_taskbeacon(
        "worker",
        within=namespace,
        TASKBEACON_DATABASE_URL=cli_database_url,
        TASKBEACON_HOME=str(tmp_path),
        TASKBEACON_AGENT_SANDBOX="bubblewrap",
    )

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(
        "Error: The sandbox 'bubblewrap' does not work here: bwrap: "
    )
    assert "Traceback" not in ended.stderr


def test_try_says_what_it_needs(taskbeacon: Taskbeacon, tmp_path: Path) -> None:
    home = {"TASKBEACON_HOME": str(tmp_path)}

    def refused(*arguments: str, **variables: str) -> str:
        result = taskbeacon("try", *arguments, **home, **variables)
        assert result.exit_code == 2
        return refusal(result, "taskbeacon: ")

    assert "start `make run` in another terminal" in refused(str(tmp_path))
    assert "Missing argument 'REPOSITORY'" in refused()
    assert "bad settings: TASKBEACON_PORT" in refused(str(tmp_path), TASKBEACON_PORT="bogus")
    for option in ("--agent", "--adapter"):
        assert "give the work for claude as PROMPT" in refused(".", option, "claude")
    for prompt in ("", "   "):
        assert "PROMPT is empty" in refused(".", prompt)
    catalog = tmp_path / "agents.toml"
    catalog.write_text('enable = ["opencode"]')
    needed = refused(".", "Work.", "--agent", "opencode", TASKBEACON_AGENT_CATALOG=str(catalog))
    assert "--model is needed for opencode" in needed
    unknown = refused(".", "--agent", "nope")
    assert "no agent is called 'nope'; the known ones are claude, codex, runbook" in unknown


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_variable_that_no_setting_reads_is_named_at_the_start(taskbeacon: Taskbeacon, command: str) -> None:
    result = taskbeacon(
        command, TASKBEACON_AGENT_CATALOG="/nonexistent", TASKBEACON_WORKER_CONCURENCY="hunter2"
    )

    warning = json.loads(result.stderr.splitlines()[0])
    assert (warning["event"], warning["level"]) == ("settings.unknown", "warning")
    assert warning["variable"] == "TASKBEACON_WORKER_CONCURENCY"
    assert warning["meant"] == "TASKBEACON_WORKER_CONCURRENCY"
    assert "hunter2" not in result.output

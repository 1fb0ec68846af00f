"""A run in a sandbox environment or with MCP servers: what its agent reaches and gets, and never runs without."""

import asyncio
import json
from collections.abc import Sequence

import orjson
import pytest
from sqlalchemy import delete, update

from app.agents.errors import EnvironmentUnavailable
from app.clients.http.host_names import Destinations
from app.clients.storage.storage_keys import RunRef
from app.config import Settings
from app.db import unit_of_work
from app.enums import NetworkAccessLevel, RunStatus
from app.models import Project, Run, SandboxEnvironment
from app.security.addresses import AddressPolicy
from app.security.secrets import Cipher
from app.services.runs.run_spec import SpecEnvironment
from app.worker.jobs.execute_run import execute_run
from app.worker.run.run_context_loader import decrypt_variables
from tests.agents.conftest import scripted_adapter
from tests.fixtures.worker import Workshop
from tests.support.factories import make_sandbox_environment
from tests.worker.run.test_earlier_runs import with_agent
from tests.worker.run.test_notify_user import STATE

SECRET = "swordfish-in-the-moonlight"


def settings_of(**values: object) -> Settings:
    return Settings(development=True, **values)  # type: ignore[arg-type] # as the environment would


def environment(level: NetworkAccessLevel, variables: dict[str, str] | None = None) -> SpecEnvironment:
    return SpecEnvironment(
        level,
        ["api.example.com"],
        include_default_domains=False,
        encrypted_variables=variables or {},
        for_checks=[],
    )


def test_variables_are_read_with_any_of_the_secrets_and_with_no_other() -> None:
    old, new = "o" * 32, "n" * 32
    kept = {"A": Cipher(settings_of(secret_keys=old).secret_keys).encrypt(SECRET)}
    named = environment(NetworkAccessLevel.NONE, kept)

    rotated = Cipher(settings_of(secret_keys=f"{new},{old}").secret_keys)
    assert decrypt_variables(named, rotated) == {"A": SECRET}
    with pytest.raises(EnvironmentUnavailable, match="TASKBEACON_SECRET_KEYS"):
        decrypt_variables(named, Cipher(settings_of(secret_keys=new).secret_keys))
    assert SECRET not in repr(named)


async def run_in(workshop: Workshop, description: str, **values: object) -> Run:
    """Make a queued run in an environment of these values."""
    run = await workshop.queued_run(description)
    async with unit_of_work(workshop.sessions) as session:
        made = await make_sandbox_environment(
            session, project=workshop.project, created_by=workshop.owner, **values
        )
        await session.execute(update(Run).where(Run.id == run.id).values(sandbox_environment_id=made.id))
    return run


async def log_of(workshop: Workshop, run: Run) -> str:
    return await workshop.stored(RunRef(run.project_id, run.task_id, run.id).log_key)


def network_lines(log: str) -> list[str]:
    entries = [orjson.loads(line)["notification"]["params"] for line in log.splitlines()]
    return [params["message"] for params in entries if params.get("step") == "network"]


async def test_agent_gets_the_variables_and_the_log_does_not_show_them(workshop: Workshop) -> None:
    cipher = Cipher(workshop.context.process.settings.secret_keys)
    run = await run_in(
        workshop,
        f'```sh\ntest "$TOKEN" = {SECRET[:9]}"{SECRET[9:]}" && echo "it is $TOKEN"\n```\n```say\nDone.\n```',
        encrypted_variables={"TOKEN": cipher.encrypt(SECRET)},
        network_access_level="none",
    )

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.status == RunStatus.COMPLETED, ended.error_message
    log = await log_of(workshop, run)
    assert SECRET not in log
    assert "it is ***" in log
    assert network_lines(log) == ["Network: none"]
    assert SECRET not in str((ended.output, ended.state, ended.error_message))


@pytest.mark.walls
async def test_variable_in_the_words_of_a_failure_is_masked(workshop: Workshop) -> None:
    cipher = Cipher(workshop.context.process.settings.secret_keys)
    run = await run_in(
        workshop,
        '```sh\necho "cannot log in with $TOKEN" >&2; exit 1\n```',
        encrypted_variables={"TOKEN": cipher.encrypt(SECRET)},
    )

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.status == RunStatus.FAILED
    assert "cannot log in with ***" in (ended.error_message or "")


@pytest.mark.walls
async def test_variable_in_the_name_of_an_artifact_is_masked(workshop: Workshop) -> None:
    """Names of files leaked secrets: the name was in the run and in the key of the store."""
    cipher = Cipher(workshop.context.process.settings.secret_keys)
    run = await run_in(
        workshop,
        '```sh\necho x > ".taskbeacon/artifacts/of $TOKEN.txt"\n```',
        encrypted_variables={"TOKEN": cipher.encrypt(SECRET)},
    )

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert [artifact["name"] for artifact in ended.artifacts] == ["of ***.txt"]
    assert SECRET not in str(ended.artifacts)


async def test_hosts_that_the_operators_limit_removes_are_logged(workshop: Workshop) -> None:
    run = await run_in(workshop, "```say\nhi\n```", network_access_level="full")

    await execute_run(workshop.arq_context, run_id=str(run.id))

    assert network_lines(await log_of(workshop, run))[0] == (
        "The run's environment asks for the network level 'full'; this service gives 'trusted' at most."
    )


async def test_run_does_not_go_on_without_its_environment(workshop: Workshop) -> None:
    run = await run_in(workshop, "```say\nhi\n```", network_access_level="none")
    async with unit_of_work(workshop.sessions) as session:
        await session.execute(delete(SandboxEnvironment))

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    said = "The sandbox environment of this run was deleted, or is another person's own. Start the run again"
    assert (ended.status, ended.error_message) == (RunStatus.FAILED, f"{said} with another one.")


async def test_state_alone_gives_a_run_nothing(workshop: Workshop) -> None:
    """A client writes `state`; only what was checked when the run was made counts."""
    cipher = Cipher(workshop.context.process.settings.secret_keys)
    async with unit_of_work(workshop.sessions) as session:
        foreign = await make_sandbox_environment(
            session,
            project=workshop.project,
            created_by=workshop.owner,
            encrypted_variables={"TOKEN": cipher.encrypt(SECRET)},
        )
    run = await workshop.queued_run(
        '```sh\ntest -z "$TOKEN"\n```',
        state={"mode": "background", "sandbox_environment_id": str(foreign.id)},
    )

    await execute_run(workshop.arq_context, run_id=str(run.id))

    ended = await workshop.read(run)
    assert ended.status == RunStatus.COMPLETED, ended.error_message


def look_up(host: str, _port: int) -> Sequence[str]:
    """As it is when the agent starts: the host has moved since its server was checked."""
    return {"moved.example.com": ["10.0.0.1"], "wiki.example.com": ["93.184.216.34"]}[host]


async def test_agent_gets_and_reaches_those_that_it_takes_and_the_log_does_not_show_them(
    workshop: Workshop,
) -> None:
    received = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/mcp"
    given = {"name": "Authorization", "value": f"Bearer {SECRET}"}
    servers = [
        {"type": "http", "name": "issues", "url": url, "headers": [given]},
        {"type": "http", "name": "moved", "url": "https://moved.example.com/", "headers": []},
        {"type": "sse", "name": "wiki", "url": "https://wiki.example.com/", "headers": []},
    ]
    policy = AddressPolicy.parse(("127.0.0.0/8",))
    shop = with_agent(workshop, scripted_adapter("use_tools")).with_process(
        destinations=Destinations(policy, look_up)
    )
    run = await shop.queued_run(json.dumps([{}]), state=STATE)
    async with unit_of_work(shop.sessions) as session:
        environment = await make_sandbox_environment(
            session, project=shop.project, created_by=shop.owner, network_access_level="trusted"
        )
        await session.execute(update(Project).where(Project.id == shop.project.id).values(notify_user=False))
        await session.execute(
            update(Run)
            .where(Run.id == run.id)
            .values(
                sandbox_environment_id=environment.id,
                encrypted_mcp_servers=shop.context.process.cipher.encrypt(json.dumps(servers)),
            )
        )

    async with listener:
        await execute_run(shop.arq_context, run_id=str(run.id))

    done = await shop.read(run)
    assert (done.status, done.error_message) == (RunStatus.COMPLETED, None)
    assert done.encrypted_mcp_servers is None
    [request] = received
    assert request.startswith(b"POST /mcp HTTP/1.1\r\n")
    assert f"Authorization: Bearer {SECRET}\r\n".encode() in request
    assert done.output is not None
    said = json.loads(done.output["summary"].partition("][")[0] + "]")
    masked = {"name": "Authorization", "value": "***"}
    assert said == [{"type": "http", "name": "issues", "url": "***", "headers": [masked]}]
    log = await log_of(shop, run)
    for reason in ("their addresses are not public: 1", "the agent lacks their transport: 1"):
        assert f"Imported MCP servers that are left out, since {reason}" in log
    for secret in (SECRET, url, "moved", "wiki"):
        assert secret not in log


async def test_run_with_servers_that_cannot_be_decrypted_says_so(workshop: Workshop) -> None:
    run = await workshop.queued_run("```say\nhi\n```")
    async with unit_of_work(workshop.sessions) as session:
        await session.execute(update(Run).where(Run.id == run.id).values(encrypted_mcp_servers="lost"))

    await execute_run(workshop.arq_context, run_id=str(run.id))

    done = await workshop.read(run)
    assert done.status == RunStatus.FAILED
    assert (done.error_message or "").startswith("The MCP servers of this run cannot be decrypted")

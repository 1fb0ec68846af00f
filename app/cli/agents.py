"""`taskbeacon agents`: the agents that runs may request, which of them are installed, and which respond."""

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from acp.schema import InitializeResponse

from app.agents.adapters.adapter import Adapter, AgentOptions
from app.agents.adapters.catalog import DEFAULT_ADAPTER, Catalog
from app.agents.adapters.installation import Installed, find_installed
from app.agents.agent_folders import AgentFolders
from app.agents.errors import AgentError, AgentNotInstalled, SandboxUnavailable
from app.agents.inspection.sandbox_check import Attempt, check_sandbox
from app.agents.sandbox.confinement import Sandbox, Streams, confined_environment
from app.agents.sandbox.policy import Confinement, SandboxPolicy
from app.agents.sandbox.probing import probe, refusal_for_root
from app.agents.session.agent_session import AgentSession
from app.agents.session.permissions import PermissionAnswer, PermissionRequest
from app.agents.session.transport import LINE_LIMIT, Message
from app.cli.settings import check_catalog, development_settings
from app.config import Settings
from app.coroutines.shielded import shielded
from app.enums import AgentNetwork, SandboxKind
from app.observability import configure_logging

_COLUMNS = ("agent", "offered", "installed", "version", "responds", "key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The state of one agent: where its program is, and whether it completed a handshake of the protocol."""

    name: str
    program: str | None = None  # None: not installed
    version: str | None = None  # as the agent reports it
    answers: bool = False
    problem: str | None = None  # why it is not installed, or does not complete the handshake


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.option(
    "--check",
    is_flag=True,
    help="Attack the sandbox from inside instead; fail if it does not stop an attempt that it should.",
)
@click.pass_context
def agents(context: click.Context, *, as_json: bool, check: bool) -> None:
    """List the agents that runs on this machine may request, with their state.

    Each installed agent is started in the sandbox, without a network, to see whether it responds; no model is called.
    The column `key` shows whether the API key of the agent's model is set in this shell; a worker may have other keys.

    With `--check`, no agent is listed or started. Instead the sandbox is attacked from inside; the command prints what
    it stopped, and fails if it did not stop an attempt that it should.
    """
    # Nothing is served, so no production secrets are needed.
    settings = development_settings()
    configure_logging(settings.log_format, "ERROR")
    if check:
        context.exit(_check(settings, as_json=as_json))
    catalog = check_catalog(settings)
    try:
        findings = asyncio.run(_inspect(catalog, settings))
    except SandboxUnavailable as error:
        raise click.ClickException(error.message) from error
    if as_json:
        click.echo(json.dumps([_entry(finding, catalog) for finding in findings], indent=2))
        return
    _print_table([_COLUMNS, *(_row(finding, catalog) for finding in findings)])
    for finding in findings:
        if finding.problem:
            click.echo(f"\n{finding.name}: {finding.problem}")


def _policy(settings: Settings) -> SandboxPolicy:
    return SandboxPolicy(
        kind=settings.agent_sandbox,
        accepts_root=True,  # only installed agents and our own probe run here
        memory_bytes=settings.agent_memory_mb * 1024 * 1024,
    )


def _check(settings: Settings, *, as_json: bool) -> int:
    async def try_all() -> tuple[Sandbox, list[Attempt]]:
        sandbox = await probe(_policy(settings))
        return sandbox, await check_sandbox(sandbox)

    try:
        sandbox, attempts = asyncio.run(try_all())
    except SandboxUnavailable as error:
        raise click.ClickException(error.message) from error
    # Only AUTO promises a sandbox; an operator who names a kind, also NONE, gets that one.
    automatic = settings.agent_sandbox is SandboxKind.AUTO
    refusal = refusal_for_root(sandbox) if automatic else None
    if refusal is None and automatic and sandbox.kind is SandboxKind.NONE:
        refusal = "No sandbox works here. Install bubblewrap."
    if as_json:
        found = {"sandbox": sandbox.kind, "refusal": refusal, "attempts": list(map(asdict, attempts))}
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(
            f"Sandbox: {sandbox.kind} (TASKBEACON_AGENT_SANDBOX={settings.agent_sandbox}). "
            "An agent of this user cannot:"
        )
        for attempt in attempts:
            click.echo(
                f"  {_verdict(attempt):<7} {attempt.name}"
                + (f": {attempt.excuse}" if attempt.obstacle is None and attempt.excuse else "")
            )
        if refusal is not None:
            click.echo(refusal)
    return int(refusal is not None or any(attempt.is_breached for attempt in attempts))


def _verdict(attempt: Attempt) -> str:
    if attempt.obstacle is not None:
        return "held"
    return "BROKEN" if attempt.is_breached else "open"


async def _inspect(catalog: Catalog, settings: Settings) -> list[Finding]:
    sandbox = await probe(_policy(settings))
    # One after the other: starting an agent occupies a processor.
    return [
        await inspect_agent(adapter, sandbox, os.environ, settings.agents_path)
        for adapter in catalog.adapters.values()
    ]


def _entry(finding: Finding, catalog: Catalog) -> dict[str, object]:
    adapter = catalog.find(finding.name)
    return asdict(finding) | {
        "choice": finding.name in catalog.choices,
        "install": adapter.install,
        "keys": list(adapter.keys),
        "has_key": not adapter.lacks_key(os.environ),
    }


def _row(finding: Finding, catalog: Catalog) -> tuple[str, ...]:
    adapter = catalog.find(finding.name)
    has_key = "no" if adapter.lacks_key(os.environ) else "yes"
    is_default = finding.name == DEFAULT_ADAPTER
    return (
        finding.name,
        "default" if is_default else "yes" if finding.name in catalog.choices else "no",
        "yes" if finding.program else "no",
        finding.version or "-",
        "yes" if finding.answers else "no",
        has_key if adapter.keys else "-",
    )


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


_HANDSHAKE_SECONDS = 30


async def inspect_agent(
    adapter: Adapter, sandbox: Sandbox, environment: Mapping[str, str], agents: Path | None
) -> Finding:
    """Start an agent in a sandbox and initialize the protocol; return what was found, also of a broken one."""
    try:
        installed = find_installed(adapter, environment, agents)
    except AgentNotInstalled as error:
        return Finding(name=adapter.name, problem=error.message)
    found = Finding(name=adapter.name, program=installed.program)
    try:
        async with asyncio.timeout(_HANDSHAKE_SECONDS):
            answer = await _initialize(adapter, installed, sandbox, environment)
    except AgentError as error:
        return replace(found, problem=error.message)
    except TimeoutError:
        return replace(found, problem=f"It did not answer within {_HANDSHAKE_SECONDS} seconds.")
    version = answer.agent_info.version if answer.agent_info else None
    return replace(found, version=version, answers=True)


async def _initialize(
    adapter: Adapter, installed: Installed, sandbox: Sandbox, environment: Mapping[str, str]
) -> InitializeResponse:
    with TemporaryDirectory(prefix="taskbeacon-agent-") as name:
        places = _make_folders(Path(name))
        process = await sandbox.start(
            installed.command,
            Confinement(places=places, readable=(*adapter.readable, *installed.folders)),
            confined_environment(environment) | adapter.variables(AgentOptions(), {}),
            network=AgentNetwork.NONE,
            streams=Streams(stdin=asyncio.subprocess.PIPE, limit=LINE_LIMIT),
        )
        session = AgentSession(process, adapter, places.work, emit=_ignore, decide=_refuse)
        try:
            return await session.initialize()
        finally:
            with suppress(TimeoutError):
                await shielded(session.close(at_once=True))


def _make_folders(root: Path) -> AgentFolders:
    places = AgentFolders(root.resolve())
    for place in (places.work, places.home, places.temporary):
        place.mkdir()
    return places


async def _ignore(_entry: Message) -> None:
    pass


async def _refuse(_question: PermissionRequest) -> PermissionAnswer | None:
    return None

"""`taskbeacon agents`: the agents that runs may request, which of them are installed, and which respond."""

import asyncio
import json
import os
from dataclasses import asdict
from typing import Any  # JSON

import click

from app.agents.adapters.catalog import DEFAULT_ADAPTER, Catalog
from app.agents.errors import SandboxUnavailable
from app.agents.inspection.agents import Finding, inspect_agent
from app.agents.inspection.sandbox_check import Attempt, check_sandbox
from app.agents.sandbox.policy import SandboxPolicy
from app.agents.sandbox.probing import probe, refusal_for_root
from app.agents.sandbox.sandbox import Sandbox
from app.cli.settings import check_catalog, development_settings
from app.config import Settings
from app.enums import SandboxKind
from app.observability import configure_logging

_COLUMNS = ("agent", "offered", "installed", "version", "responds", "key")


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
    # Without production secrets, because nothing is served.
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
        accepts_root=True,  # nothing of a stranger runs here
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
    # With AUTO the operator relies on a sandbox.
    automatic = settings.agent_sandbox is SandboxKind.AUTO
    refusal = refusal_for_root(sandbox) if automatic else None
    if refusal is None and automatic and sandbox.kind is SandboxKind.NONE:
        refusal = "No sandbox works here. Install bubblewrap."
    if as_json:
        click.echo(
            json.dumps(
                {
                    "sandbox": sandbox.kind,
                    "refusal": refusal,
                    "attempts": [asdict(attempt) for attempt in attempts],
                },
                indent=2,
            )
        )
    else:
        click.echo(
            f"Sandbox: {sandbox.kind} (TASKBEACON_AGENT_SANDBOX={settings.agent_sandbox}). An agent of this user cannot:"
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


def _entry(finding: Finding, catalog: Catalog) -> dict[str, Any]:
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
    return (
        finding.name,
        _choice(finding.name, catalog),
        "yes" if finding.program else "no",
        finding.version or "-",
        "yes" if finding.answers else "no",
        has_key if adapter.keys else "-",
    )


def _choice(name: str, catalog: Catalog) -> str:
    if name == DEFAULT_ADAPTER:
        return "default"
    return "yes" if name in catalog.choices else "no"


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())

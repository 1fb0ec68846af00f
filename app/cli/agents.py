"""`taskbeacon agents`: which agents runs may ask for, which of them are here, and which answer."""

import asyncio
import json
import os
from dataclasses import asdict
from typing import Any  # JSON

import click

from app.agents.catalog import DEFAULT_ADAPTER, Catalog
from app.agents.confinement import SandboxPolicy
from app.agents.errors import SandboxUnavailable
from app.agents.inspection import Finding, inspect_agent
from app.agents.sandbox import probe
from app.cli.settings import check_catalog, development_settings
from app.config import Settings
from app.observability import configure_logging

__all__ = ["agents"]

_COLUMNS = ("agent", "on the wire", "installed", "version", "answers", "key")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def agents(*, as_json: bool) -> None:
    """List the agents of this machine.

    Each one that is installed is started in the sandbox, without a network, and asked who it is; no model is. The keys
    are those of this shell, which a worker may not have.
    """
    # Nothing is served, so production's secrets are not asked for.
    settings = development_settings()
    configure_logging(settings.log_format, "ERROR")
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


async def _inspect(catalog: Catalog, settings: Settings) -> list[Finding]:
    policy = SandboxPolicy(kind=settings.agent_sandbox, memory_bytes=settings.agent_memory_mb * 1024 * 1024)
    sandbox = await probe(policy)
    # One after the other: each takes all of a processor to start.
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

"""The job that looks for checks that a repository suggests, at the request of a member (contract 18.1)."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Unpack

import structlog

from app.agents.check_execution.commit_verification import find_suggested
from app.agents.errors import AgentError
from app.agents.git.fetch import Source
from app.agents.git.run_repository import Author
from app.ids import new_id
from app.outages import is_outage
from app.services.check_sources.repository_scans import keep_scan, show_scan
from app.services.code_hosts.host_credentials import read_project_host
from app.services.enqueueing import ScanArguments
from app.services.retrying.retries import in_transaction
from app.verdicts.definitions import FoundCheck
from app.worker.run.run_context_loader import open_remote
from app.worker.worker_context import WorkerContext, worker_context

log = structlog.get_logger(__name__)


async def scan_repository(ctx: Mapping[str, object], **arguments: Unpack[ScanArguments]) -> None:
    """Job: keep what the default branch of a repository suggests, or why it cannot be read."""
    worker = worker_context(ctx)
    project_id, repository = arguments["project_id"], arguments["repository"]
    limit = worker.run_times.scan
    try:
        async with asyncio.timeout(limit):
            scan = show_scan(repository, *await _scan(worker, project_id, repository))
    except AgentError as error:
        scan = {"error": error.message}
    except TimeoutError:
        scan = {"error": f"The scan took over {limit:.0f} s."}
    except Exception as error:
        if is_outage(error):
            raise
        # Stored as the result, since a client asks until there is one, and would start another scan each time.
        log.exception("scan.unexpected_error", project_id=project_id, repository=repository)
        scan = {"error": "The scan failed unexpectedly. Try again in a minute; the worker's log says why."}
    await keep_scan(worker.process.redis, project_id, repository, scan)


async def _scan(
    worker: WorkerContext, project_id: int, repository: str
) -> tuple[str | None, tuple[FoundCheck, ...]]:
    settings = worker.process.settings
    read = partial(read_project_host, git_base_url=settings.git_base_url, project_id=project_id)
    host = await in_transaction(worker.process.sessions, read)
    remote = await open_remote(worker, host, repository)
    source = Source(remote=remote, branch=None, resumes=False, depth=1, filter=settings.git_clone_filter)
    async with worker.workspaces.open(new_id()) as workspace:
        await workspace.prepare(source, "scan", author=Author())
        commit = workspace.base.sha
        if commit is None:
            return None, ()
        files = {file.path: file for file in await workspace.repository.tree(commit)}
        return commit, await find_suggested(workspace.repository, files)

"""First step of a run: clones the repository into the workspace, and adds the attached files."""

import asyncio

from app.agents.execution.active_run import ActiveRun
from app.agents.files.attachments import place_attachments
from app.agents.git.large_files import LargeFileLimits, find_git_lfs, uses_lfs


async def prepare(run: ActiveRun) -> None:
    """Clone the repository or make an empty one; copy the attached files there. Raises AgentError."""
    repository, files, workspace = run.context.repository, run.context.files, run.workspace
    source = repository.source
    await run.progress("clone", f"Cloning {source.remote.url}" if source else "Making an empty repository")
    await workspace.prepare(
        await run.source(),
        repository.push_branch,
        author=repository.author,
        mirrors=files.mirrors,
        submodules_below=repository.submodules_below,
        large_files=LargeFileLimits.of(run.context.sandbox.policy) if files.git_lfs else None,
    )
    for reason in workspace.submodules.left_out:
        await run.progress("clone", f"Without the submodule {reason}")
    await _report_large_files(run)
    if files.attachments:
        await asyncio.to_thread(place_attachments, workspace.work, files.attachments)
    run.is_prepared = True
    base = workspace.base
    await run.progress(
        "clone",
        f"Working from {base.start} at {base.sha[:12]}" if base.sha else "Starting with an empty repository",
    )


async def _report_large_files(run: ActiveRun) -> None:
    found = run.workspace.large_files
    if found is None:
        if run.workspace.base.sha is not None and await asyncio.to_thread(uses_lfs, run.workspace.work):
            reason = "this worker does not fetch them"
            if run.context.files.git_lfs and find_git_lfs(run.context.environment) is None:
                reason = "git-lfs is not installed on this worker"
            await run.progress("clone", f"Files of Git LFS are left as pointers: {reason}")
        return
    if found.requested:
        await run.progress("clone", f"Fetched {found.requested} objects of Git LFS")
    for reason in found.left_out:
        await run.progress("clone", f"Without the content of {reason}")

"""Reads the reports of a check in the sandbox: they are as untrusted as the programs that write them."""

import asyncio
import json
from collections.abc import Sequence
from typing import Final

from app.agents.checks.junit import ReportInvalid
from app.agents.sandbox.sandbox import Sandbox, confined_environment
from app.agents.workspace.workspace import Workspace
from app.enums import CaseOutcome
from app.processes.output import last_lines
from app.processes.own_program import OWN_PROGRAM, module_command
from app.verification.judgement import Case

_READER: Final = module_command("app.agents.checks.junit")
READ_SECONDS: Final = 10.0


async def delete_reports(workspace: Workspace, sandbox: Sandbox, cwd: str, globs: Sequence[str]) -> None:
    """Delete the files in a folder of the clone that match these globs. Raises ReportInvalid."""
    await _ask(workspace, sandbox, cwd, globs, "--delete", seconds=READ_SECONDS)


async def read_reports(
    workspace: Workspace, sandbox: Sandbox, cwd: str, globs: Sequence[str], *, seconds: float = READ_SECONDS
) -> dict[Case, CaseOutcome] | None:
    """Return the cases in the reports in a folder of the clone; None: there is no report.

    Raises ReportInvalid, with a text that can hold names of files, unmasked.
    """
    said = await _ask(workspace, sandbox, cwd, globs, seconds=seconds)
    # Beside the event loop: a hundred thousand cases take a second.
    return await asyncio.to_thread(_cases, said)


async def _ask(
    workspace: Workspace, sandbox: Sandbox, cwd: str, globs: Sequence[str], *options: str, seconds: float
) -> bytes:
    try:
        read = await workspace.execute(
            sandbox,
            (*_READER, *options),
            confined_environment({}),
            text=json.dumps([cwd, list(globs)]).encode(),
            seconds=seconds,
            readable=OWN_PROGRAM,
        )
    except TimeoutError:
        raise ReportInvalid(f"Looking for the reports took over {seconds:g} s.") from None
    if read.code != 0:
        raise ReportInvalid(last_lines(read.errors))
    return read.output


def _cases(said: bytes) -> dict[Case, CaseOutcome] | None:
    number, *suites = map(json.loads, said.splitlines())
    if number == 0:
        return None
    return {
        Case(suite, class_name, name): CaseOutcome(outcome)
        for suite, cases in suites
        for class_name, name, outcome in cases
    }

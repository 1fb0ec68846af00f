"""Reads the reports of a check in the sandbox: they are as untrusted as the programs that write them."""

import asyncio
import json
from collections.abc import Sequence
from typing import Final

from app.agents.checks.junit import ReportInvalid
from app.agents.sandbox.confined_process import ConfinedProcess
from app.agents.sandbox.sandbox import Streams
from app.enums import CaseOutcome
from app.processes.output import last_lines
from app.processes.own_program import module_command
from app.shielded import shielded
from app.verification.judgement import Case

# To be started in the sandbox, without a network, in the clone.
REPORT_READER: Final = module_command("app.agents.checks.junit")
REPORT_STREAMS: Final = Streams(stdin=asyncio.subprocess.PIPE)
READ_SECONDS: Final = 10.0
_GRACE_SECONDS: Final = 0.2


async def delete_reports(reader: ConfinedProcess, folder: str, globs: Sequence[str]) -> None:
    """Have a REPORT_READER that was started with `--delete` delete the reports in a folder, and end it."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            await reader.communicate(json.dumps([folder, list(globs)]).encode())
    finally:
        await shielded(reader.stop(_GRACE_SECONDS))


async def read_reports(
    reader: ConfinedProcess, folder: str, globs: Sequence[str], *, seconds: float = READ_SECONDS
) -> dict[Case, CaseOutcome] | None:
    """Have a started REPORT_READER read the reports in a folder, and end it; None: there is no report.

    Raises ReportInvalid, with a text that can hold names of files, unmasked.
    """
    try:
        async with asyncio.timeout(seconds):
            said, errors = await reader.communicate(json.dumps([folder, list(globs)]).encode())
    except TimeoutError:
        raise ReportInvalid(f"Reading the reports took over {seconds:g} s.") from None
    finally:
        await shielded(reader.stop(_GRACE_SECONDS))
    if reader.returncode != 0:
        raise ReportInvalid(last_lines(errors.decode(errors="replace")))
    # Beside the event loop: a hundred thousand cases take a second.
    return await asyncio.to_thread(_cases, said)


def _cases(said: bytes) -> dict[Case, CaseOutcome] | None:
    number, *suites = map(json.loads, said.splitlines())
    if number == 0:
        return None
    return {
        Case(suite, class_name, name): CaseOutcome(outcome)
        for suite, cases in suites
        for class_name, name, outcome in cases
    }

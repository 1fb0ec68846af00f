"""Reads the reports of a check by a program in the sandbox, since reports are untrusted."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.agents.check_execution.junit import ReportInvalid
from app.agents.sandbox.confinement import Sandbox, confined_environment
from app.agents.workspace.run_workspace import Workspace
from app.enums import CaseOutcome
from app.processes.output import last_lines
from app.processes.own_program import OWN_PROGRAM, module_command
from app.verdicts.judgement import Case

_READER: Final = module_command("app.agents.check_execution.junit")
READ_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Reports:
    """The files in a folder of the clone that match these globs. Its methods raise ReportInvalid."""

    workspace: Workspace
    sandbox: Sandbox
    cwd: str
    globs: Sequence[str]

    async def delete(self) -> None:
        await self._ask("--delete")

    async def read(self, *, seconds: float = READ_SECONDS) -> dict[Case, CaseOutcome] | None:
        """Return their cases; None: there is no report. The text of an error can hold names of files, unmasked."""
        # In a thread: parsing a hundred thousand cases takes a second.
        return await asyncio.to_thread(_cases, await self._ask(seconds=seconds))

    async def _ask(self, *options: str, seconds: float = READ_SECONDS) -> bytes:
        try:
            read = await self.workspace.execute(
                self.sandbox,
                (*_READER, *options),
                confined_environment({}),
                text=json.dumps([self.cwd, self.globs]).encode(),
                seconds=seconds,
                readable=OWN_PROGRAM,
            )
        except TimeoutError:
            raise ReportInvalid(f"Looking for the reports took over {seconds:g} s.") from None
        if read.code != 0:
            raise ReportInvalid(last_lines(read.errors))
        return read.output


def _cases(output: bytes) -> dict[Case, CaseOutcome] | None:
    number, *suites = map(json.loads, output.splitlines())
    if number == 0:
        return None
    return {
        Case(suite, class_name, name): CaseOutcome(outcome)
        for suite, cases in suites
        for class_name, name, outcome in cases
    }

"""Checks structured output in a process of its own, because it may have to be ended.

A schema is untrusted, and one pattern in it can keep Python's regular expressions busy for years, during
which no other code of the process runs: not in this thread, and not in any other.
"""

import asyncio
import json
import subprocess
from collections.abc import Mapping
from typing import Any  # JSON

from app.agents.errors import OutputInvalid
from app.agents.sandbox.limits import RunWatch
from app.agents.sandbox.policy import Confinement
from app.agents.sandbox.sandbox import Sandbox, confined_environment
from app.agents.workspace.output import MISSING
from app.enums import AgentNetwork
from app.fair_slots import FairSlots
from app.processes.own_program import module_command
from app.processes.reading import last_lines
from app.processes.spawning import PLAIN_ENVIRONMENT
from app.shielded import shielded

CHECK_SECONDS = 10.0
_GRACE_SECONDS = 0.2
_PROGRAM = "app.agents.workspace.schema_check"
# Checks of given outputs at a time; each is a process that may be kept busy for all of its seconds. Those of one
# project leave places to others.
PLACES = FairSlots(4, share=2, waiting=10)


async def check_apart(
    sandbox: Sandbox,
    confinement: Confinement,
    environment: Mapping[str, str],
    output: Any,
    schema: Any,
    *,
    watch: RunWatch,
) -> None:
    """Do what `schema_check.check_output` does, in the sandbox and as a process of a run.

    Raises OutputInvalid, also when there is no output, and when it takes over `CHECK_SECONDS`.
    """
    if output is MISSING:
        raise OutputInvalid("The task has a JSON schema, but the agent gave no structured output.")
    process = await watch.follow(
        await sandbox.start(
            module_command(_PROGRAM, libraries=True),
            confinement,
            confined_environment(environment, confinement),
            network=AgentNetwork.NONE,
            stdin=asyncio.subprocess.PIPE,
        )
    )
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            said, complaint = await process.communicate(json.dumps([output, schema]).encode())
    except TimeoutError:
        raise OutputInvalid(
            f"Checking the structured output against the task's JSON schema took over {CHECK_SECONDS:g} s."
        ) from None
    finally:
        await shielded(process.stop(_GRACE_SECONDS))
    if process.returncode != 0:
        reason = last_lines(complaint.decode(errors="replace"))
        raise OutputInvalid(f"The structured output could not be checked: {reason}")
    if said:
        raise OutputInvalid(said.decode())


async def check_given(output: Any, schema: Any, *, project_id: int, seconds: float = CHECK_SECONDS) -> None:
    """Do what `check_output` does for an output that a client gave: no workspace, so nothing to be kept from it.

    Raises OutputInvalid, also when it takes over `seconds`, and QueueFull if as many of the project's wait as may.
    """
    async with PLACES.taken(project_id):
        try:
            question = json.dumps([output, schema]).encode()
            # Its slot is taken as long as its process lives, also if the caller has stopped waiting.
            checked = await shielded(asyncio.to_thread(_check, question, seconds))
        except subprocess.TimeoutExpired:
            raise OutputInvalid(
                f"Checking the output against the task's JSON schema took over {seconds:g} s."
            ) from None
    if checked.returncode != 0:
        reason = last_lines(checked.stderr.decode(errors="replace"))
        raise OutputInvalid(f"The output could not be checked: {reason}")
    if checked.stdout:
        raise OutputInvalid(checked.stdout.decode())


def _check(question: bytes, seconds: float) -> "subprocess.CompletedProcess[bytes]":
    """Run the check; in a thread, since the API's loop would fork for a program."""
    return subprocess.run(  # noqa: S603 - our own program
        module_command(_PROGRAM, libraries=True),
        input=question,
        capture_output=True,
        env=PLAIN_ENVIRONMENT,
        cwd="/",
        timeout=seconds,
        check=False,
    )

"""The structured output of a run: the prompts that ask the agent for it, and how its file is read and checked."""

import json
from pathlib import Path
from typing import Any, Never  # Any: JSON

import orjson

from app.agents.errors import OutputInvalid, PathRefused
from app.agents.files import safe_paths
from app.agents.files.attachments import OUTPUT_PATH
from app.agents.outputs.killable_check import CHECK_COMMAND, CHECK_SECONDS, require_answer
from app.agents.sandbox.confinement import Sandbox, confined_environment
from app.agents.workspace.run_workspace import Workspace
from app.dialogue.storable_text import storable
from app.processes.own_program import OWN_PROGRAM

MISSING = object()
_LIMIT = 2**20


def output_instructions(schema: object) -> str:
    return (
        f"When you are done, write the result of this task to the file {OUTPUT_PATH} in the workspace. It must be "
        f"one JSON document that is valid against this JSON schema: {json.dumps(schema)}"
    )


def output_correction(problem: str) -> str:
    return (
        f"{problem} Write the file {OUTPUT_PATH} in the workspace again, as the task asked: one JSON document that is "
        "valid against the JSON schema that you were given. Change nothing else."
    )


def read_output(work: Path, seen: Path) -> Any:
    """Return the structured output in `work`, which the agent sees at `seen`, or MISSING. Raises OutputInvalid."""
    try:
        content = safe_paths.read_file(work, OUTPUT_PATH, _LIMIT + 1, seen=seen)
    except FileNotFoundError:
        return MISSING
    except (PathRefused, OSError) as error:
        raise OutputInvalid(f"The structured output cannot be read. {error}") from None
    if len(content) > _LIMIT:
        raise OutputInvalid(f"The structured output is longer than {_LIMIT} bytes.")
    try:
        output = json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise OutputInvalid(f"The structured output ({OUTPUT_PATH}) is not JSON: {error}") from None
    _require_storable(output)
    return output


def _require_storable(output: object) -> None:
    try:
        text = orjson.dumps(output)
    except TypeError as error:  # too deep, an integer of more than 64 bits, a lone surrogate
        raise OutputInvalid(f"The structured output cannot be stored: {error}.") from None
    if b"\\u0000" in text and storable(output) != output:
        raise OutputInvalid("The structured output cannot be stored: it holds a NUL character.")


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


async def check_apart(
    workspace: Workspace, sandbox: Sandbox, output: object, schema: object, *, seconds: float = CHECK_SECONDS
) -> None:
    """Check the output, which may be MISSING, in a process in the run's sandbox. Raises OutputInvalid."""
    # The schema is checked also without an output: an error in it may be why there is none.
    question = [schema] if output is MISSING else [output, schema]
    try:
        checked = await workspace.execute(
            sandbox,
            CHECK_COMMAND,
            confined_environment(workspace.environment),
            text=json.dumps(question).encode(),
            seconds=seconds,
            readable=OWN_PROGRAM,
        )
    except TimeoutError:
        raise OutputInvalid(
            f"Checking the structured output against the task's JSON schema took over {seconds:g} s."
        ) from None
    require_answer(checked.code, checked.output, checked.errors)
    if output is MISSING:
        raise OutputInvalid("The task has a JSON schema, but the agent gave no structured output.")

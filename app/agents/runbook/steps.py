"""Executes the steps of a runbook, each as one tool call; stops at the first failure that is not allowed."""

import os
import sys
from pathlib import Path

from app.agents.errors import PathRefused
from app.agents.files import safe_paths
from app.agents.files.attachments import OUTPUT_PATH
from app.agents.runbook import parser
from app.agents.runbook.connection import Message, TurnClient
from app.agents.runbook.parser import Step
from app.agents.runbook.programs import ProgramEnd, run_program
from app.ids import new_hex_id
from app.processes.output import quoted_end

_TITLE_CHARACTERS = 80
# The service cuts the title of a question at this length. The text below the title can be longer.
_QUESTION_CHARACTERS = 200


class ToolCall:
    """Reports one step of a runbook to the client, as a tool call of the protocol, from its construction on."""

    def __init__(self, client: TurnClient, title: str, kind: str, arguments: Message) -> None:
        self._client = client
        self._id = new_hex_id()
        client.update(
            "tool_call",
            toolCallId=self._id,
            title=_shorten(title, _TITLE_CHARACTERS),
            kind=kind,
            status="in_progress",
            rawInput=arguments,
        )

    def show(self, output: str) -> None:
        """Report only what the step printed since the last call; `end` reports all again."""
        self._update("in_progress", [_output_block(output)])

    def end(
        self, output: str, *, failed: bool = False, result: Message | None = None, edit: Message | None = None
    ) -> None:
        """Report that the step has ended; `edit` is a content block of a changed file."""
        content = [*([_output_block(output)] if output else []), *([edit] if edit else [])]
        more = {} if result is None else {"rawOutput": result}
        self._update("failed" if failed else "completed", content, **more)

    def as_question(self, text: str) -> Message:
        if len(text) <= _QUESTION_CHARACTERS:
            return {"toolCallId": self._id, "title": text}
        title = _shorten(text, _QUESTION_CHARACTERS)
        return {"toolCallId": self._id, "title": title, "content": [_output_block(text)]}

    def _update(self, status: str, content: list[Message], **more: Message) -> None:
        self._client.update("tool_call_update", toolCallId=self._id, status=status, content=content, **more)


def _shorten(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def text_block(text: str) -> Message:
    return {"type": "text", "text": text}


def _output_block(output: str) -> Message:
    return {"type": "content", "content": text_block(output)}


_LAST_LINES = 20
_LAST_CHARACTERS = 2000
_REFUSALS = frozenset({"no", "n", "never", "reject", "deny", "cancel", "stop", "abort"})
# Not `python file`: `sys.path` would then start with the script's folder instead of the workspace.
_PYTHON = "import sys; p = sys.argv.pop(1); exec(compile(open(p, encoding='utf-8').read(), p, 'exec'))"
_PROGRAMS = {
    # As in CI systems: the first command that fails ends the script.
    "sh": ("sh", "-e"),
    "bash": ("bash", "-eo", "pipefail"),
    "python": (sys.executable, "-c", _PYTHON),
    "patch": ("git", "apply", "--whitespace=nowarn", "--"),
}

_WHAT_IT_CAN = """\
There is nothing to run in this prompt. I am the runbook agent, which is no model: I execute the fenced blocks of a \
prompt, in order, in the workspace, and ignore all other text. To have a model work on a text, start a run with \
another agent, such as `claude` or `codex`. To run something here, send a block, for example:

````text
```sh
ls
```
````

A block starts with three backticks and one of

- `sh`, `bash` or `python`: runs it, up to the first error; add `allow-failure` to go on with the next block then, \
`timeout=30` to limit it
- `file path=docs/x.md`: writes the file
- `patch`: applies it with `git apply`
- `json output`: gives the structured output of the run
- `ask options=yes,no`: asks, and goes on with the answer (in TASKBEACON_ANSWER)
- `say`: says it"""


class StepFailed(Exception):
    """A step of a runbook failed, so the runbook ended. The message names the step and the reason."""


class StepExecutor:
    def __init__(self, client: TurnClient, work: Path) -> None:
        self._client = client
        self._work = work
        self._answer: str | None = None

    def run(self, steps: list[Step]) -> None:
        """Execute the steps in order; without any, say which blocks would be. Raises StepFailed, TurnCancelled."""
        if not steps:
            self._say(_WHAT_IT_CAN)
            return
        tolerated = 0
        for number, step in enumerate(steps, start=1):
            self._client.turn.check()
            name = f"Step {number} of {len(steps)} ({step.kind}, line {step.line})"
            tolerated += not self._execute(step, name)
        if not any(step.kind == "say" for step in steps):
            count = "1 step" if len(steps) == 1 else f"{len(steps)} steps"
            self._say(f"Done: {count}{f', {tolerated} of them failed as allowed' if tolerated else ''}.")

    def _execute(self, step: Step, name: str) -> bool:
        match step.kind:
            case "file":
                self._write(f"Write {step.path}", step.path, step.text, name)
            case parser.JSON_OUTPUT:
                self._write("Structured output", OUTPUT_PATH, step.text, name)
            case "ask":
                self._ask(step, name)
            case "say":
                self._say(step.text)
            case _:
                return self._run(step, name)
        return True

    def _run(self, step: Step, name: str) -> bool:
        is_patch = step.kind == "patch"
        first = next((line for line in step.text.splitlines() if line.strip()), "")
        title = "Apply a patch" if is_patch else f"{step.kind}: {first}"
        call = ToolCall(self._client, title, "edit" if is_patch else "execute", {"text": step.text})
        ended = self._run_file(step, call)
        failed = ended.status != 0
        call.end(ended.output, failed=failed, result={"exitStatus": ended.status})
        if failed and not step.allow_failure:
            how = f"ended with exit status {ended.status}" if ended.status is not None else "took too long"
            last_output = quoted_end("Its last lines", ended.output, _LAST_LINES, _LAST_CHARACTERS)
            raise StepFailed(f"{name} {how}. {last_output}")
        return not failed

    def _run_file(self, step: Step, call: ToolCall) -> ProgramEnd:
        # In memory, because a file in the workspace could become part of the work.
        with os.fdopen(os.memfd_create("step"), "w", encoding="utf-8") as file:
            file.write(step.text)
            file.flush()
            command = [*_PROGRAMS[step.kind], f"/dev/fd/{file.fileno()}"]
            return run_program(
                command,
                self._work,
                self._environment(),
                call.show,
                self._client.turn,
                timeout=step.timeout,
                inherited=file.fileno(),
            )

    def _environment(self) -> dict[str, str]:
        # Python would write byte code into the workspace, and it could become part of the work.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        if self._answer is not None:
            environment["TASKBEACON_ANSWER"] = self._answer
        return environment

    def _write(self, title: str, path: str, text: str, name: str) -> None:
        call = ToolCall(self._client, title, "edit", {"path": path})
        try:
            safe_paths.write_file(self._work, path, text.encode(errors="replace"))
        except (PathRefused, OSError) as error:
            call.end(str(error), failed=True)
            raise StepFailed(f"{name} could not write the file. {error}") from None
        edit = {"type": "diff", "path": str(self._work / path), "newText": text}
        call.end("", edit=edit)

    def _ask(self, step: Step, name: str) -> None:
        arguments = {"question": step.text, "options": list(step.options)}
        call = ToolCall(self._client, step.text, "other", arguments)
        options = [
            {
                "optionId": option,
                "name": option,
                "kind": "reject_once" if option.lower() in _REFUSALS else "allow_once",
            }
            for option in step.options
        ]
        answer = self._client.choose(call.as_question(step.text), options)
        if answer is None:
            call.end("No answer was given.", failed=True)
            raise StepFailed(f"{name} got no answer to: {step.text}")
        self._answer = answer
        call.end(answer, result={"answer": answer})

    def _say(self, text: str) -> None:
        self._client.update("agent_message_chunk", content=text_block(text), messageId=new_hex_id())

"""Commands that agents have run for them: in the sandbox of the run, bounded, and gone with the session."""

import asyncio
import json
import os
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from app.agents.sandbox.confined_process import ConfinedProcess
from app.agents.session.terminals import Terminals
from tests.agents.conftest import Runner, scripted_adapter
from tests.support.marked import processes_with
from tests.support.waiting import eventually, next_round

Json = dict[str, Any]


def create(command: str, *args: str, **fields: Any) -> Json:
    return {"method": "terminal/create", "params": {"command": command, "args": list(args), **fields}}


def on_terminal(method: str) -> Json:
    return {"method": f"terminal/{method}", "params": {"terminalId": "$terminal"}}


WAIT, OUTPUT, KILL, RELEASE = (on_terminal(m) for m in ("wait_for_exit", "output", "kill", "release"))


async def ask(runner: Runner, *requests: Json) -> list[Json]:
    outcome = await runner.run(json.dumps(requests), adapter=scripted_adapter("requests"))
    answers: list[Json] = json.loads(outcome.done.summary)
    return answers


async def test_command_runs_in_the_workspace_and_its_output_is_returned(runner: Runner) -> None:
    _, ended, output, released = await ask(
        runner, create("sh", "-c", "ls; echo oops >&2; exit 3"), WAIT, OUTPUT, RELEASE
    )

    assert ended == {"exitCode": 3}
    assert output["output"].splitlines() == ["file0.txt", "file1.txt", "file2.txt", "oops"]
    assert (output["truncated"], output["exitStatus"]) == (False, {"exitCode": 3})
    assert released == {}


async def test_line_for_a_shell_folder_and_variables_are_understood(runner: Runner) -> None:
    _, _, output = await ask(
        runner,
        create("pwd && echo $WORD", cwd=".git", env=[{"name": "WORD", "value": "two words"}]),
        WAIT,
        OUTPUT,
    )

    folder, word = output["output"].splitlines()
    assert folder.endswith("/work/.git")
    assert word == "two words"


async def test_command_sees_no_more_than_the_agent(runner: Runner, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sauerkraut")

    *_, output = await ask(runner, create("cat", str(secret)), WAIT, OUTPUT)

    assert output["exitStatus"] == {"exitCode": 1}
    assert "sauerkraut" not in output["output"]


async def test_end_of_a_long_output_is_kept_from_a_whole_character_on(runner: Runner) -> None:
    *_, output = await ask(
        runner, create("sh", "-c", "yes é | head -c 300000; echo end", outputByteLimit=6), WAIT, OUTPUT
    )

    assert output == {"output": "é\nend\n", "truncated": True, "exitStatus": {"exitCode": 0}} or (
        output["truncated"] and output["output"].endswith("end\n") and "�" not in output["output"]
    )


async def test_killed_command_keeps_its_output(runner: Runner, tmp_path: Path) -> None:
    marker = f"86400.{abs(hash(tmp_path)) % 10**9}5"

    _, killed, output, again = await ask(runner, create("sh", "-c", f"sleep {marker}"), KILL, OUTPUT, KILL)

    assert (killed, again) == ({}, {})
    assert output["exitStatus"] is not None
    assert processes_with(marker) == []


async def test_terminals_end_with_the_session(runner: Runner, tmp_path: Path) -> None:
    marker = f"86400.{abs(hash(tmp_path)) % 10**9}6"

    await ask(runner, create("sh", "-c", f"sleep {marker} & sleep {marker}"))

    assert processes_with(marker) == []


async def test_cancelled_request_leaves_the_output_to_others() -> None:
    """Regression: it cancelled the reading of the output, and so whoever waited for the terminal."""
    # `cat` is in a session of its own, which nobody ends here, and holds the output.
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", "exec 3<&0; setsid cat <&3 &"), stdin=PIPE, stdout=PIPE, start_new_session=True
    )
    confined = ConfinedProcess(process, *os.pipe(), has_launcher=False)

    async def start(*_: object) -> ConfinedProcess:
        return confined

    terminals = Terminals(start)
    names = {"session_id": "s", "terminal_id": (await terminals.create_terminal("s", "cat")).terminal_id}

    async def text() -> str:
        return (await terminals.terminal_output(**names)).output

    async def has_begun() -> bool:
        return await text() == "held"

    assert confined.stdin is not None
    confined.stdin.write(b"held")
    await eventually(has_begun)
    await confined.wait()
    await confined.stop()
    killing = asyncio.create_task(terminals.kill_terminal(**names))
    for _ in range(10):
        await next_round()
    killing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await killing
    confined.stdin.write(b" on")
    confined.stdin.close()
    assert (await terminals.wait_for_terminal_exit(**names)).exit_code == 0
    assert await text() == "held on"


async def test_terminals_are_few_at_a_time(runner: Runner) -> None:
    *made, refused = await ask(runner, *[create("cat")] * 17)

    assert all("terminalId" in answer for answer in made)
    assert "there are 16 terminals" in refused["data"]["details"]


@pytest.mark.parametrize("request_", [OUTPUT, WAIT, KILL, RELEASE])
async def test_unknown_terminal_is_not_found(runner: Runner, request_: Json) -> None:
    [answer] = await ask(runner, request_)

    assert answer["code"] == -32002


@pytest.mark.parametrize(
    "fields",
    [
        {"command": "a\0b"},
        {"command": "true", "env": [{"name": "A=B", "value": ""}]},
        {"command": "echo", "args": ["x" * 200_000]},
    ],
)
async def test_command_that_cannot_be_is_refused(runner: Runner, fields: Json) -> None:
    [answer] = await ask(runner, {"method": "terminal/create", "params": fields})

    assert answer["code"] == -32602
